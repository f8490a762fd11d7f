"""What every registered task must be, whatever it asks."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from valm.evaluate.definitions import TASKS, ChoiceTask, Question, TextTask
from valm.evaluate.metrics import SCORERS
from valm.ingest.probes import answer_words
from valm.ingest.sources import load_sources
from valm.ingest.text_sources.colour_notes import PLURAL_FRAMES, SINGULAR_FRAMES

# Tasks whose questions need no raw file.
OWN = [name for name in TASKS.names() if not TASKS.get(name).raw and name != "held_out_text"]
CHOICE = [name for name in TASKS.names() if isinstance(TASKS.get(name), ChoiceTask)]


def questions(name: str) -> tuple[ChoiceTask, list[Question]]:
    task = TASKS.get(name)
    assert isinstance(task, ChoiceTask)
    return task, list(task.questions({}))


@pytest.mark.parametrize("name", TASKS.names())
def test_a_task_says_what_it_measures(name: str) -> None:
    task = TASKS.get(name)
    assert isinstance(task, ChoiceTask | TextTask)
    assert task.licence
    assert {definition.definition for definition in task.definitions} == {"legacy", "corrected"}
    for definition in task.definitions:
        assert definition.scorer in SCORERS
        assert definition.version >= 1
        assert definition.text.endswith("."), definition.text
    named = [(each.metric, each.definition) for each in task.definitions]
    assert len(set(named)) == len(named)


@pytest.mark.parametrize("name", TASKS.names())
def test_a_task_reads_pinned_files_only(name: str) -> None:
    assert set(TASKS.get(name).raw) <= set(load_sources())


@pytest.mark.parametrize("name", CHOICE)
def test_answers_are_words_that_every_trained_vocabulary_holds(name: str) -> None:
    task = TASKS.get(name)
    assert isinstance(task, ChoiceTask)
    assert set(task.choices) <= set(answer_words())
    assert len(set(task.choices)) == len(task.choices)


@pytest.mark.parametrize("name", OWN)
def test_every_item_is_asked_in_every_wording_and_once(name: str) -> None:
    task, asked = questions(name)
    real = [question for question in asked if question.answer >= 0]
    seen = [(question.item, question.part, question.prompt) for question in real]
    assert len(set(seen)) == len(seen)
    prompts = {question.prompt for question in real}
    assert len(seen) == len({(q.item, q.part) for q in real}) * len(prompts)
    assert {question.answer for question in real} == set(range(len(task.choices)))


@pytest.mark.parametrize("name", OWN)
def test_a_question_ends_where_the_answer_begins_and_does_not_give_it(name: str) -> None:
    task, asked = questions(name)
    for question in asked:
        assert question.text == question.text.strip()
        assert "  " not in question.text
        assert not re.search(r"THING|FIRST|SECOND|TEXT|\[", question.text)
        words = set(re.findall(r"[a-z]+", question.text.lower()))
        assert not words & set(task.choices), question.text


@pytest.mark.parametrize("name", OWN)
def test_calibrated_metrics_have_content_free_questions_in_every_wording(name: str) -> None:
    task, asked = questions(name)
    if not any(each.scorer in ("calibrated", "balanced") for each in task.definitions):
        return
    real = {question.prompt for question in asked if question.answer >= 0}
    free = {question.prompt for question in asked if question.answer < 0}
    assert free == real


def pattern(frame: str) -> re.Pattern[str]:
    """A note's frame as a pattern of what it can say up to its colours."""
    text = re.escape(frame.split("{colours}")[0].strip())
    return re.compile(re.sub(r"\\\{\w+\\\}", r"[a-z -]+", text))


@pytest.mark.parametrize("name", OWN)
def test_no_prompt_is_a_training_template(name: str) -> None:
    notes = [pattern(frame) for frame in (*SINGULAR_FRAMES, *PLURAL_FRAMES)]
    _, asked = questions(name)
    for question in asked:
        text = question.text.lower()
        assert not [note.pattern for note in notes if note.fullmatch(text)], text


OFFICIAL = {"memory_color": (109, 9), "color_terms": (52, 18)}  # items, questions an item


@pytest.mark.parametrize("name", OFFICIAL)
def test_official_probes_are_whole(name: str) -> None:
    task, pinned = TASKS.get(name), load_sources()[name].pinned_files()[0]
    assert isinstance(task, ChoiceTask) and pinned.mirror_path
    file = Path(os.environ.get("VALM_MIRROR", "")) / pinned.mirror_path
    if not file.is_file():
        pytest.skip("needs VALM_MIRROR with MemoryColor and ColorTerms")
    real = [question for question in task.questions({name: file}) if question.answer >= 0]
    items, per_item = OFFICIAL[name]
    assert len({question.item for question in real}) == items
    assert len(real) == items * per_item
    assert not any("  " in question.text for question in real)
