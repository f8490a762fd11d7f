"""``audit-leakage``: what of the evaluation a study's pictures and training text give away.

Two things are listed, and nothing is taken out: a study may mean to teach colours by captions, but who
reads its scores must know.

* **Captions**: pictures whose caption names the one thing that a question is about, and its right answer.
* **Texts**: questions with their right answers, and passages, that occur in the training text: whole, or in
  a stretch of 13 tokens (the length by which GPT-3's authors told overlaps).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.embed.words import WORD
from valm.evaluate.questions.own_pictures import forms
from valm.evaluate.questions.prepared import KIND as TASK_KIND
from valm.evaluate.questions.prepared import MEASURED, Requests, read_requests
from valm.ingest.pictures.numbering import listed_rows
from valm.ingest.pictures.retracted import retracted_ids
from valm.ingest.text.tokens import TokenStream

KIND = "leakage"
LONGEST_STRETCH, SHORTEST_TEXT = 13, 4  # tokens
EXAMPLES = 20  # of a task's items, in the list
BLOCK_TOKENS = 1 << 20
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no token of a stretch drops out of its hash


def audit_leakage(
    job: Job,
    *,
    requests: Sequence[Path],
    pictures: Path,
    tokens: Path,
    output: Path,
    retracted: Path | None = None,
) -> None:
    """Write ``leakage.json``: ``captions``, a row for each, and ``texts``, a row for each task.

    Args:
        requests: Manifests of the prepared tasks; those that are unavailable are passed over.
        pictures: Manifest of the picture list.
        tokens: Manifest of the token streams; the training split is read, block by block.
        output: ``leakage.manifest.json``.
        retracted: Manifest of the retracted pictures, whose captions are not repeated.
    """
    prepared: dict[str, tuple[Requests, pl.DataFrame, list[str]]] = {}
    for manifest in requests:
        facts = read_manifest(manifest, TASK_KIND).facts
        if facts["status"] == MEASURED:
            prepared[facts["task"]] = (*read_requests(manifest), facts["choices"])
    captions = stating_captions(pictures, prepared, retracted)
    stream = TokenStream.open(tokens, "train").tokens
    asked = {task: evaluated_texts(one, items) for task, (one, items, _) in prepared.items()}
    texts = texts_in_training(asked, stream)
    file = output.with_name("leakage.json")
    write_json(file, {"captions": captions, "texts": texts})
    job.finish(
        output,
        kind=KIND,
        rows=len(captions) + sum(row["found"] for row in texts),
        files=[file],
        parents=[*requests, pictures, tokens, *([retracted] if retracted else [])],
        facts={"captions": len(captions), "texts": {row["task"]: row["found"] for row in texts}},
    )


def stating_captions(
    pictures: Path,
    prepared: dict[str, tuple[Requests, pl.DataFrame, list[str]]],
    retracted: Path | None = None,
) -> list[dict[str, Any]]:
    """The captions of kept pictures, not retracted, that name a question's one thing and its answer."""
    asked: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for task, (_, items, choices) in prepared.items():
        if "things" not in items.columns:
            continue
        for row in items.iter_rows(named=True):
            if len(row["things"]) == 1 and row["answer"] >= 0:
                for form in forms(row["things"][0]):
                    asked[form].add((task, row["item"], _words(choices[row["answer"]])))
    answers = {answer for questions in asked.values() for _, _, answer in questions}
    longest = max((len(name.split()) for name in asked.keys() | answers), default=0)
    gone = set(retracted_ids(retracted).tolist())
    found = set()
    for picture, kept, captions in listed_rows(pictures, ["id", "kept", "captions"]):
        for caption in captions if kept and picture not in gone else ():
            named = set(_names(_words(caption).split(), longest))
            for name in named & asked.keys():
                for task, item, answer in asked[name]:
                    if answer in named:
                        found.add((task, item, answer, picture, caption))
    columns = ("task", "item", "answer", "picture", "caption")
    return [dict(zip(columns, row, strict=True)) for row in sorted(found)]


def evaluated_texts(requests: Requests, items: pl.DataFrame) -> dict[str, list[list[int]]]:
    """The texts of each item as tokens: a question with its right answer, or a passage."""
    texts: dict[str, list[list[int]]] = defaultdict(list)
    answers = items["answer"].to_list() if "answer" in items.columns else None
    for number, item in enumerate(items["item"].to_list()):
        text = requests.tokens[requests.offsets[number] : requests.offsets[number + 1]].tolist()
        if answers is None:
            texts[item].append(text[1:-1])  # it stands between two ends of text
        elif answers[number] >= 0:
            choice = requests.choices[answers[number]]
            texts[item].append([*text, *choice[choice >= 0].tolist()])
    return texts


def texts_in_training(
    asked: dict[str, dict[str, list[list[int]]]], stream: NDArray[Any]
) -> list[dict[str, Any]]:
    """How many items of each task have a text that occurs in a stream of tokens.

    Args:
        asked: By task and item, its texts; those of fewer than four tokens say nothing.
        stream: Ids; may be memory-mapped.
    """
    wanted: dict[int, list[NDArray[np.uint64]]] = defaultdict(list)
    of_text: dict[tuple[str, str], list[tuple[int, NDArray[np.uint64]]]] = defaultdict(list)
    for task, items in asked.items():
        for item, texts in items.items():
            for text in texts:
                if len(text) >= SHORTEST_TEXT:
                    length = min(len(text), LONGEST_STRETCH)
                    hashes = stretch_hashes(np.array(text), length)
                    wanted[length].append(hashes)
                    of_text[task, item].append((length, hashes))
    there = {
        length: _found(stream, length, np.unique(np.concatenate(hashes)))
        for length, hashes in wanted.items()
    }
    rows = []
    for task, items in asked.items():
        hit = [
            item
            for item in items
            if any(np.isin(hashes, there[length]).any() for length, hashes in of_text[task, item])
        ]
        rows.append(
            {"task": task, "items": len(items), "found": len(hit), "examples": hit[:EXAMPLES]}
        )
    return rows


def stretch_hashes(tokens: NDArray[Any], length: int) -> NDArray[np.uint64]:
    """The polynomial hash, modulo 2^64, of every stretch of a length, [tokens - length + 1]."""
    ids = tokens.astype(np.uint64) + np.uint64(1)
    count = max(0, len(ids) - length + 1)
    hashes = np.zeros(count, np.uint64)
    for place in range(length):
        hashes *= BASE
        hashes += ids[place : place + count]
    return hashes


def _found(stream: NDArray[Any], length: int, wanted: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The hashes wanted that some stretch of the stream has."""
    found = [
        np.intersect1d(
            wanted, stretch_hashes(stream[first : first + BLOCK_TOKENS + length - 1], length)
        )
        for first in range(0, len(stream), BLOCK_TOKENS)
    ]
    return np.unique(np.concatenate([np.empty(0, np.uint64), *found]))


def _words(text: str) -> str:
    return " ".join(WORD.findall(text.lower()))


def _names(words: Sequence[str], longest: int) -> Iterator[str]:
    for first in range(len(words)):
        for last in range(first + 1, min(first + longest, len(words)) + 1):
            yield " ".join(words[first:last])
