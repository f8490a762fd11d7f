"""Throughput of tokenisation: ours beside ``datasets.map`` with transformers' fast tokenizer.

Both read the same documents with the same vocabulary and one thread, and write the ids to disk. Ours is all
of ``write-tokens``: unpack the documents twice (once to see what belongs where), encode, shuffle, write the
memory-mapped streams with their offsets. Theirs starts from a table of documents in memory and maps it in
batches of 1,000, as its documentation shows, into an Arrow file; its cache is off. Each is a process of its
own, and they take turns: while one works, the other waits.

Prints one JSON line: tokens on both sides, medians of the MB/s, ratio of the medians. Exits with 1 if the
ids differ.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

OURS, THEIRS = "valm", "datasets"
WORDS = "the of a red green boat house sees near river old tree small bird stone under and".split()


def documents(text: Path | None, megabytes: float) -> list[str]:
    """Documents of a text in CC-100's layout, or made-up ones, up to a size."""
    if text is None:
        draw = np.random.default_rng(1)
        made = int(megabytes * 1e6 / 600)
        return [" ".join(draw.choice(WORDS, size=130)) + f" {n}." for n in range(made)]
    from valm.ingest.text.documents import read_plain_documents

    found, size = [], 0.0
    for document in read_plain_documents(text):
        found.append(document)
        size += len(document.encode())
        if size > megabytes * 1e6:
            break
    return list(dict.fromkeys(found))


def our_side(texts: list[str], kind: str, folder: Path) -> Callable[[], int]:
    """Write the token streams once; returns the number of tokens, ends of text apart."""
    from valm.config.study import parse_study
    from valm.config.verbs import section_for
    from valm.core.job import Job
    from valm.core.manifest import read_manifest
    from valm.ingest.text.documents import document_writer
    from valm.ingest.text.tokens import write_tokens
    from valm.ingest.vocabulary.tokenizer import train_tokenizer

    os.environ["VALM_WORK"] = str(folder / "work")
    settings = {
        "text": {"sources": [{"name": "text"}], "colour_notes": {"share": 0}},
        "tokenizer": {"kind": kind},
    }
    study = parse_study({"ingest": settings})

    def job(verb: str) -> Job:
        return Job(verb, section_for(study, verb), "c0de")

    with document_writer(folder / "text.txt.xz") as write:
        for text in texts:
            write(text)
    source, tokenizer = folder / "text.manifest.json", folder / "tokenizer.manifest.json"
    files = [folder / "text.txt.xz"]
    job("write-text").finish(
        source, kind="text", rows=len(texts), files=files, facts={"source": "text"}
    )
    train_tokenizer(job("train-tokenizer"), text=[source], output=tokenizer)
    output = folder / "tokens.manifest.json"

    def run() -> int:
        write_tokens(job("write-tokens"), text=[source], tokenizer=tokenizer, output=output)
        splits = read_manifest(output).facts["splits"].values()
        return sum(split["tokens"] - split["documents"] for split in splits)

    return run


def their_side(texts: list[str], kind: str, folder: Path) -> Callable[[], int]:
    """Map the table once; returns the number of tokens."""
    import datasets
    import transformers

    datasets.disable_caching()
    datasets.disable_progress_bars()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    table = datasets.Dataset.from_dict({"text": texts})

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        return {"input_ids": tokenizer(batch["text"])["input_ids"]}

    def run() -> int:
        mapped = table.map(encode, batched=True, remove_columns=["text"])
        mapped.save_to_disk(str(folder / "mapped"))
        return sum(len(ids) for batch in mapped.iter(1000) for ids in batch["input_ids"])

    return run


def serve(side: str, line: Connection, texts: list[str], kind: str, folder: Path) -> None:
    """Work once for each word on the line, and answer with tokens and seconds."""
    run = (our_side if side == OURS else their_side)(texts, kind, folder)
    line.send("ready")
    while line.recv() == "run":
        start = time.perf_counter()
        tokens = run()
        line.send((tokens, time.perf_counter() - start))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--text", type=Path, help="a text in CC-100's layout; else made-up documents"
    )
    parser.add_argument("--megabytes", type=float, default=4.0, help="of text")
    parser.add_argument("--kind", default="bpe", choices=["bpe", "clip"], help="vocabulary")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    for variable in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[variable] = "1"
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    texts = documents(asked.text, asked.megabytes)
    size = sum(len(text.encode()) for text in texts) / 1e6
    context = multiprocessing.get_context("spawn")
    seconds: dict[str, list[float]] = {OURS: [], THEIRS: []}
    tokens: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        lines = {}
        for side in seconds:  # ours first: it makes the vocabulary
            lines[side], end = context.Pipe()
            given = (side, end, texts, asked.kind, Path(folder))
            context.Process(target=serve, args=given, daemon=True).start()
            assert lines[side].recv() == "ready"
        for turn in range(asked.rounds + 1):
            for side, line in lines.items():
                line.send("run")
                tokens[side], taken = line.recv()
                if turn:  # the first warms up
                    seconds[side].append(taken)
        for line in lines.values():
            line.send("end")
    speed = {side: size / statistics.median(values) for side, values in seconds.items()}
    answer = {
        "megabytes": round(size, 2),
        "vocabulary": asked.kind,
        "tokens": tokens,
        "megabytes_per_second_and_core": {side: round(value, 2) for side, value in speed.items()},
        "ratio": round(speed[OURS] / speed[THEIRS], 2),
    }
    print(json.dumps(answer))
    return int(tokens[OURS] != tokens[THEIRS])


if __name__ == "__main__":
    sys.exit(main())
