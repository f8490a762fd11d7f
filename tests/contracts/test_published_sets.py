"""The published sets as they are at hand: whole, and what constant answers score on them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from builders.answers import answers
from builders.task_files import mirrored_files

from valm.evaluate.questions.definitions import TASKS, ChoiceTask, Question
from valm.evaluate.questions.labelled_text_task import WHOLE, LabelledTextTask
from valm.evaluate.questions.prepare import first_items
from valm.evaluate.scores.metrics import SCORERS
from valm.evaluate.tasks import dbpedia

# Items and questions an item of every published choice task, before a sample is drawn.
OFFICIAL = {
    "memory_color": (109, 9), "color_terms": (52, 18), "object_shape": (140, None),
    "relative_size": (486, 16), "sst2": (872, 1), "mpqa": (2000, 1), "ag_news": (7600, 2),
    "dbpedia": (5000, 2),
}  # fmt: skip


def published(name: str) -> tuple[ChoiceTask, list[Question]]:
    task = TASKS.get(name)
    files = mirrored_files(task.raw)
    if files is None:
        pytest.skip("needs VALM_MIRROR with the published files")
    assert isinstance(task, ChoiceTask)
    return task, list(task.questions(files))


@pytest.mark.parametrize("name", OFFICIAL)
def test_published_sets_are_whole(name: str) -> None:
    _, asked = published(name)
    real = [question for question in asked if question.answer >= 0]
    items, per_item = OFFICIAL[name]
    assert len({question.item for question in real}) == items
    if per_item is not None:
        assert len(real) == items * per_item


def always(name: str, answer: str) -> dict[tuple[str, str], float]:
    """What one answer to everything scores, by metric and definition."""
    task, asked = published(name)
    said = np.tile(np.eye(len(task.choices))[task.choices.index(answer)], (len(asked), 1))
    frame = answers(asked, said)
    return {
        (d.metric, d.definition): SCORERS[d.scorer](frame, d.part)[0].value
        for d in task.definitions
    }


def test_always_yes_is_perfect_as_published_and_half_right_in_both_orders() -> None:
    scored = always("relative_size", "yes")
    assert scored["accuracy", "legacy"] == 1.0
    assert scored["accuracy", "corrected"] == 0.5
    assert scored["pair_consistency", "corrected"] == 0.0


def test_always_round_beats_every_published_shape_score() -> None:
    scored = always("object_shape", "round")
    assert scored["accuracy", "legacy"] == pytest.approx(81 / 101)  # 80.2 %
    assert scored["accuracy_140", "legacy"] == pytest.approx(103 / 140)
    assert scored["macro_f1", "corrected"] == pytest.approx(2 * 81 / (81 + 101) / 8)


def test_the_inferred_label_map_is_the_mirrors() -> None:
    files = mirrored_files(("dbpedia14",))
    if files is None:
        pytest.skip("needs VALM_MIRROR with DBPedia-14")
    root = next(parent for parent in files["dbpedia14"].parents if (parent / "derived").is_dir())
    written = (root / "derived/dbpedia14/label_map_inferred.json").read_text(encoding="utf-8")
    assert json.loads(written)["map"] == dbpedia.INFERRED_LABEL_MAP


@pytest.mark.parametrize("name", ["ag_news", "dbpedia"])
def test_our_metrics_read_the_first_words_and_the_published_one_reads_all(name: str) -> None:
    task, asked = published(name)
    assert isinstance(task, LabelledTextTask)
    ours, whole = ([q for q in asked if q.part == part and q.answer >= 0] for part in ("", WHOLE))
    assert [q.item for q in ours] == [q.item for q in whole]
    frame = len(task.prompt.split()) - 1
    assert max(len(q.text.split()) for q in ours) == frame + 30
    assert max(len(q.text.split()) for q in whole) > frame + 60
    assert all(longer.text.removesuffix(" type:").startswith(short.text.removesuffix(" type:"))
               for short, longer in zip(ours, whole, strict=True))  # fmt: skip
    for definition in task.definitions:
        of_all = definition.definition == "legacy"
        assert definition.part == (WHOLE if of_all else "")
        assert ("Whole texts" if of_all else "The first 30 words") in definition.text


def test_a_sample_is_the_same_items_and_stated() -> None:
    task, asked = published("ag_news")
    assert task.sample == 1000
    few = list(dict.fromkeys(q.item for q in first_items(asked, 10) if q.item))
    more = list(dict.fromkeys(q.item for q in first_items(asked, 20) if q.item))
    assert len(few) == 10 and more[:10] == few
    assert len(list(first_items(asked, None))) == len(asked)
