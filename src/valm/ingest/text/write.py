"""``write-text``: one text source becomes cleaned documents in CC-100's layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from valm.config.source_params import source_params
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.work import remove_state
from valm.errors import SourceError
from valm.ingest.raw.sources import raw_path
from valm.ingest.text.cleaning import clean_text
from valm.ingest.text.documents import KIND, document_writer
from valm.ingest.text_sources import TEXT_SOURCES, TextInputs
from valm.ingest.text_sources import TextSource as Plugin


def write_text(
    job: Job, *, source: str, raw: Sequence[Path], pictures: Path | None, output: Path
) -> None:
    """Write ``NAME.txt.xz`` and, if the documents have groups or came with pictures, those.

    ``NAME.groups.txt.xz`` and ``NAME.pictures.txt.xz`` have a line for each document.

    Args:
        source: Name of the text source.
        raw: Manifests of the raw files that it reads.
        pictures: Manifest of the picture list, for sources that speak of pictures.
        output: ``NAME.manifest.json``.

    Raises:
        SourceError: A raw file is not available, or no document came of it.
        ConfigError: The source's parameters are wrong.
    """
    plugin = TEXT_SOURCES.get(source)
    files = {_source_name(path): _available(path) for path in raw}
    parents = [*raw, *([pictures] if pictures else [])]
    given = job.value("ingest.text.params", dict[str, dict[str, Any]]).get(source, {})
    params = source_params(plugin.params, given, f"ingest.text.params.{source}")
    files_of = {"text": output.with_name(f"{source}.txt.xz")}
    if plugin.grouped:
        files_of["groups"] = output.with_name(f"{source}.groups.txt.xz")
    if plugin.pictured:
        files_of["pictures"] = output.with_name(f"{source}.pictures.txt.xz")
    with ExitStack() as held:
        work = held.enter_context(job.work(parents)) if plugin.cleans_itself else None
        inputs = TextInputs(files, pictures, job.seed, params, work, job.threads)
        written = _write_documents(plugin, inputs, files_of)
        if not written["documents"]:
            raise SourceError(
                f"the text source {source!r} gave no document",
                cure="check its inputs, or leave it out (colour notes by a share of 0)",
            )
        licences = {_source_name(path): read_manifest(path).facts["licence"] for path in raw}
        job.finish(
            output,
            kind=KIND,
            rows=written.pop("documents"),
            files=files_of.values(),
            parents=parents,
            facts={"source": source} | written | {"licences": licences} | inputs.facts,
        )
        if work is not None:
            remove_state(work)
    logger.info("%s: %s words", source, f"{written['words']:,}")


def _write_documents(
    plugin: Plugin, inputs: TextInputs, files: Mapping[str, Path]
) -> dict[str, int]:
    """Write a source's documents and what each has beside its text; returns what was counted."""
    counts = {"documents": 0, "words": 0, "characters": 0}
    with ExitStack() as stack:
        write = {part: stack.enter_context(document_writer(file)) for part, file in files.items()}
        for document in plugin.documents(inputs):
            text = document.text
            if not plugin.cleans_itself:
                text = clean_text(text, plugin.third_party)
            if not text:
                continue
            write["text"](text)
            if plugin.grouped:
                write["groups"](document.group)
            if plugin.pictured:
                write["pictures"](" ".join(map(str, document.pictures)))
            counts["documents"] += 1
            counts["words"] += len(text.split())
            counts["characters"] += len(text)
    return counts


def _source_name(manifest: Path) -> str:
    return manifest.name.removesuffix(".manifest.json")


def _available(manifest: Path) -> Path:
    path = raw_path(manifest)
    if path is None:
        raise SourceError(
            f"a raw file is not available: {read_manifest(manifest).facts['reason']}",
            where=manifest,
            cure="reach its source, or take the text source out of ingest.text.sources",
        )
    return path
