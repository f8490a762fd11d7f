"""The audit of captions and training text, in cases that can be worked out by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from builders.pictures import drawn_list, raw_pictures
from builders.retrieval import write_stream

from valm.core.job import Job
from valm.evaluate import leakage
from valm.evaluate.leakage import (
    audit_leakage,
    evaluated_texts,
    stating_captions,
    stretch_hashes,
    texts_in_training,
)
from valm.evaluate.questions.prepared import Requests, write_requests
from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.pictures.retraction import list_retracted
from valm.report.chapters import evaluate as chapter

COLOURS = ["red", "yellow"]


def questions() -> tuple[Requests, pl.DataFrame]:
    """Two questions of four tokens about a banana and a cherry, and a content-free one."""
    requests = Requests.of_questions([[1, 2, 3, 4], [1, 2, 3, 5], [1, 2]], [[90], [91]])
    rows = [
        {"item": "banana", "answer": 1, "things": ["banana"]},
        {"item": "cherry", "answer": 0, "things": ["cherry"]},
        {"item": "", "answer": -1, "things": []},
    ]
    return requests, pl.DataFrame(rows)


def captioned(folder: Path, *captions: str) -> Path:
    raw = [replace(one, captions=(text,)) for one, text in zip(raw_pictures(9), captions)]  # noqa: B905
    return drawn_list(folder, 0, raw)


def test_a_caption_is_listed_if_it_names_the_thing_and_its_right_answer(tmp_path: Path) -> None:
    pictures = captioned(
        tmp_path,
        "Two ripe, yellow bananas", "a banana", "a red banana", "yellow bananarama",
        "a cherry, redder than any", "a red car",
    )  # fmt: skip
    found = stating_captions(pictures, {"colour": (*questions(), COLOURS)})
    assert [(row["item"], row["answer"], row["picture"]) for row in found] == [
        ("banana", "yellow", 0)
    ]


def test_names_and_answers_may_have_several_words(tmp_path: Path) -> None:
    name = "sea by the harbour of a town"
    rows = [{"item": "sea", "answer": 0, "things": [name]}]
    pictures = captioned(
        tmp_path, f"Dark-blue {name}", f"the {name}, dark, never blue", "dark blue sea"
    )
    requests = Requests.of_questions([[1, 2, 3, 4]], [[90]])
    found = stating_captions(pictures, {"colour": (requests, pl.DataFrame(rows), ["dark blue"])})
    assert [(row["answer"], row["picture"]) for row in found] == [("dark blue", 0)]


def test_the_caption_of_a_retracted_picture_is_not_repeated(tmp_path: Path) -> None:
    pictures = captioned(tmp_path, "a plum", "a yellow banana", "bananas are yellow")
    listed, gone = tmp_path / "retracted.tsv", tmp_path / "retracted.manifest.json"
    source, origin = (
        read_picture_list(pictures).select(["source", "origin"]).to_pylist()[1].values()
    )
    listed.write_text(f"{source}\t{origin}\n", encoding="utf-8")
    list_retracted(Job("list-retracted", {}, "c0de"), pictures=pictures, file=listed, output=gone)
    found = stating_captions(pictures, {"colour": (*questions(), COLOURS)}, gone)
    assert [row["picture"] for row in found] == [2]


def found(stream: list[int], texts: dict[str, list[list[int]]]) -> list[str]:
    (row,) = texts_in_training({"task": texts}, np.array(stream, np.uint16))
    assert row["items"] == len(texts) and row["found"] == len(row["examples"])
    examples: list[str] = row["examples"]
    return examples


def test_a_text_is_found_whole_or_by_thirteen_tokens_wherever_it_lies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leakage, "BLOCK_TOKENS", 16)
    stream = list(range(100, 160))
    for start in range(0, 56):  # across the bounds of blocks too
        short = stream[start : start + 4]
        assert found(stream, {"short": [short], "other": [[*short[:-1], 9]]}) == ["short"]
    long = [7, *stream[20:33], 8]
    almost = [7, *stream[20:32], 8, 9]
    assert found(stream, {"long": [long], "almost": [almost], "tiny": [stream[:3]]}) == ["long"]
    assert found([], {"long": [long]}) == []


def test_hashes_differ_where_stretches_do() -> None:
    tokens = np.random.default_rng(1).integers(0, 3, 4000)
    stretches = np.lib.stride_tricks.sliding_window_view(tokens, 9)
    distinct = len(np.unique(stretches, axis=0))
    assert len(np.unique(stretch_hashes(tokens, 9))) == distinct > 3000
    assert len(stretch_hashes(tokens[:5], 9)) == 0


def test_a_question_is_looked_for_with_its_right_answer_and_a_passage_without_its_ends() -> None:
    assert evaluated_texts(*questions()) == {
        "banana": [[1, 2, 3, 4, 91]],
        "cherry": [[1, 2, 3, 5, 90]],
    }
    passages = Requests.of_passages([[0, 5, 6, 7, 0]])
    assert evaluated_texts(passages, pl.DataFrame({"item": ["p"]})) == {"p": [[5, 6, 7]]}


def test_the_verb_writes_both_lists_and_the_report_shows_them(tmp_path: Path) -> None:
    requests, rows = questions()
    written = tmp_path / "colour.manifest.json"
    items: list[dict[str, Any]] = [row | {"text": ""} for row in rows.to_dicts()]
    job = Job("prepare-task", {}, "c0de")
    job.finish(
        written, kind="task", rows=3, files=write_requests(written, requests, items),
        facts={"task": "colour", "status": "measured", "choices": COLOURS},
    )  # fmt: skip
    missing = tmp_path / "far.manifest.json"
    job.finish(
        missing, kind="task", rows=0, files=[], facts={"task": "far", "status": "unavailable"}
    )
    audit_leakage(
        Job("audit-leakage", {}, "c0de"),
        requests=[written, missing],
        pictures=captioned(tmp_path / "pictures", "a yellow banana", "a plum"),
        tokens=write_stream(tmp_path / "tokens", [[8, 1, 2, 3, 5, 90, 0], [1, 2, 3, 4, 90, 0]]),
        output=tmp_path / "evaluate/leakage.manifest.json",
    )
    told = json.loads((tmp_path / "evaluate/leakage.json").read_text())
    assert [row["item"] for row in told["captions"]] == ["banana"]
    assert told["texts"] == [{"task": "colour", "items": 2, "found": 1, "examples": ["cherry"]}]
    assert "Answer in a caption" in chapter.leakage(tmp_path)._repr_html_()
