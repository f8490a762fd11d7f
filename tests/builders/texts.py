"""Text manifests, vocabularies and streams made in a test's folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.ingest.text.documents import Document, document_writer
from valm.ingest.text.tokens import write_tokens
from valm.ingest.vocabulary.tokenizer import train_tokenizer


def text_job(verb: str, seed: int = 1, threads: int = 1, **ingest: Any) -> Job:
    """A job of an ingest verb under the default study with some keys changed."""
    section = section_for(parse_study({"seed": seed, "ingest": ingest}), verb)
    return Job(verb, section, code="c0de", threads=threads)


def write_source(folder: Path, name: str, documents: Sequence[Document | str]) -> Path:
    """Write a text source as ``write-text`` does."""
    rows = [Document(d) if isinstance(d, str) else d for d in documents]
    files = {folder / f"{name}.txt.xz": [row.text for row in rows]}
    if any(row.group for row in rows):
        files[folder / f"{name}.groups.txt.xz"] = [row.group for row in rows]
    if any(row.pictures for row in rows):
        lists = [" ".join(map(str, row.pictures)) for row in rows]
        files[folder / f"{name}.pictures.txt.xz"] = lists
    for path, texts in files.items():
        with document_writer(path) as write:
            for text in texts:
                write(text)
    manifest = folder / f"{name}.manifest.json"
    facts = {"source": name}
    text_job("write-text").finish(manifest, kind="text", rows=len(rows), files=files, facts=facts)
    return manifest


def make_tokenizer(folder: Path, texts: Sequence[Path], size: int = 700, kind: str = "bpe") -> Path:
    """Train a small vocabulary, or write CLIP's."""
    manifest = folder / kind / "tokenizer.manifest.json"
    settings = {"kind": kind, "vocabulary_size": size}
    sources = [{"name": text.name.split(".")[0]} for text in texts]
    job = text_job("train-tokenizer", tokenizer=settings, text={"sources": sources})
    train_tokenizer(job, text=texts, output=manifest)
    return manifest


def make_tokens(
    folder: Path,
    texts: Sequence[Path],
    tokenizer: Path,
    caps: dict[str, int] | None = None,
    seed: int = 1,
    **text: Any,
) -> Path:
    """Write the token streams of some sources, each with its cap."""
    names = [path.name.removesuffix(".manifest.json") for path in texts]
    sources = [{"name": n, "maximum_tokens": (caps or {}).get(n)} for n in names]
    sources = [source for source in sources if source["name"] != "colour_notes"]
    manifest = folder / "tokens.manifest.json"
    job = text_job("write-tokens", seed, text={"sources": sources} | text)
    write_tokens(job, text=texts, tokenizer=tokenizer, output=manifest)
    return manifest
