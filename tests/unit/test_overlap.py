"""Decontamination: 13 words in a row are found wherever they stand, counted by task, and removed if asked."""

import json
from pathlib import Path

import numpy as np
import pytest
from builders.texts import make_tokenizer, text_job, write_source

from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.evaluate.questions.definitions import TASKS
from valm.evaluate.questions.task_texts import has_own_texts, task_texts
from valm.ingest.text.overlap import measure_overlap
from valm.ingest.text.phrases import all_phrases, list_phrases, phrase_hashes, shares_a_phrase
from valm.ingest.text.tokens import write_tokens
from valm.ingest.vocabulary.tokenizer import load_tokenizer

QUESTION = "Which of the 27 old boats on the far side of the lake had a red sail that day?"
DRAW = np.random.default_rng(2)
WORDS = [
    f"{first}{second}"
    for first in ("ba", "so", "ti", "mu", "re")
    for second in ("lan", "nor", "fet", "gim")
]


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))


def filler(words: int) -> str:
    return " ".join(DRAW.choice(WORDS, words))


def phrases_of(folder: Path, task: str, texts: list[tuple[str, str]]) -> Path:
    output = folder / f"{task}.manifest.json"
    list_phrases(
        Job("list-phrases", {}, "c0de"), task=task, texts=texts, reason=None, raw=[], output=output
    )
    return output


def test_a_phrase_is_its_words_whatever_stands_between_them() -> None:
    words = QUESTION.replace("27", "2 7").replace("?", "").lower().split()
    windows = {tuple(words[n : n + 13]) for n in range(len(words) - 12)}
    assert (
        len(phrase_hashes(QUESTION)) == len(set(phrase_hashes(QUESTION).tolist())) == len(windows)
    )
    again = QUESTION.upper().replace(" ", " -- ").replace("27", "2 7") + " “Nobody” knew."
    assert set(phrase_hashes(QUESTION).tolist()) <= set(phrase_hashes(again).tolist())
    assert len(phrase_hashes("only twelve words are in this one and so it has none")) == 0
    turned = " ".join(words[::-1])
    assert not set(phrase_hashes(QUESTION).tolist()) & set(phrase_hashes(turned).tolist())


def test_tokens_have_the_phrases_of_their_text(tmp_path: Path) -> None:
    texts = [f"{QUESTION} It's 1,990's “naïve” answer number {n}: {filler(20)}." for n in range(30)]
    source = write_source(tmp_path, "made", texts)
    for kind in ("bpe", "clip"):
        vocabulary = load_tokenizer(make_tokenizer(tmp_path, [source], kind=kind))
        for text in texts:
            decoded = vocabulary.decode(vocabulary.encode(text))
            assert phrase_hashes(decoded).tolist() == phrase_hashes(text).tolist()


def test_overlap_is_counted_by_task_and_removed_from_training_only(tmp_path: Path) -> None:
    clean = [filler(40) for _ in range(300)]
    dirty = [f"{filler(15)} {QUESTION} {filler(n + 5)}" for n in range(40)]
    source = write_source(tmp_path, "made", clean + dirty)
    tokenizer = make_tokenizer(tmp_path, [source])
    asked = phrases_of(tmp_path, "asked", [("1", QUESTION), ("2", filler(40)), ("3", "too short")])
    other = phrases_of(tmp_path, "other", [("1", filler(60))])
    settings = {"sources": [{"name": "made"}], "split": {"valid_fraction": 0.2, "test_fraction": 0.2},
                "colour_notes": {"share": 0}}  # fmt: skip
    rows = {}
    for name, phrases in (("kept", []), ("removed", [asked, other])):
        tokens = tmp_path / name / "tokens.manifest.json"
        job = text_job("write-tokens", text=settings)
        write_tokens(job, text=[source], tokenizer=tokenizer, output=tokens, phrases=phrases)
        output = tokens.with_name("overlap.manifest.json")
        measure_overlap(Job("measure-overlap", {}, "c0de"), tokens=tokens, tokenizer=tokenizer,
                        phrases=[asked, other], output=output)  # fmt: skip
        rows[name] = json.loads(output.with_name("overlap.json").read_text())
        splits = read_manifest(tokens).facts["splits"]
        rows[f"{name} documents"] = [
            splits[split]["documents"] for split in ("train", "valid", "test")
        ]
    before, after = rows["kept documents"], rows["removed documents"]
    assert before[1:] == after[1:] and 0 < before[0] - after[0] < 40
    own = rows["kept"][0]
    assert own["task"] == "asked" and own["items"] == 3 and own["touched_items"] == 1
    assert own["training_documents"] == before[0] - after[0]
    assert own["shared_phrases"] == len(phrase_hashes(QUESTION))
    assert rows["kept"][1]["shared_phrases"] == 0
    assert [row["training_documents"] for row in rows["removed"]] == [0, 0]
    removed = read_manifest(tmp_path / "removed" / "tokens.manifest.json").facts["decontaminated"]
    assert removed == before[0] - after[0]


def test_without_evaluation_sets_nothing_is_shared(tmp_path: Path) -> None:
    assert not shares_a_phrase(QUESTION, all_phrases([]))
    assert not shares_a_phrase(QUESTION, all_phrases([phrases_of(tmp_path, "none", [])]))


@pytest.mark.parametrize("name", TASKS.names())
def test_every_task_gives_its_texts_or_has_none_of_its_own(name: str) -> None:
    task = TASKS.get(name)
    if not has_own_texts(task):
        assert name == "held_out_text"
    elif not task.raw:
        texts = dict(task_texts(task, {}))
        assert texts and all(texts.values())
