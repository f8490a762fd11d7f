"""What every registered task must be, whatever it asks: on tiny files, and on a mirror's real ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from builders.answers import answers
from builders.evaluation import CONTEXT, TinyStudy
from builders.task_files import mirrored_files, task_files

from valm.evaluate.answers import reading, rows
from valm.evaluate.answers.answering import Reader, choice_scores, passage_scores
from valm.evaluate.answers.illustrate import TaskPictures
from valm.evaluate.questions.definitions import TASKS, ChoiceTask, Passage, Question, TextTask
from valm.evaluate.questions.prepare import first_items
from valm.evaluate.questions.prepared import Requests, read_requests
from valm.evaluate.scores.metrics import SCORERS, has_items
from valm.evaluate.scores.statistics import interval, pooled, resamples
from valm.ingest.probes import answer_words
from valm.ingest.raw.sources import load_sources
from valm.ingest.text.tokens import TokenStream
from valm.ingest.text_sources.colour_notes import PLURAL_FRAMES, SINGULAR_FRAMES
from valm.models.pictures import standardise
from valm.retrieve.given import give
from valm.retrieve.showable import Showable
from valm.train.saved_model import load_model

# Tasks whose questions need no raw file.
OWN = [name for name in TASKS.names() if not TASKS.get(name).raw and name != "held_out_text"]
CHOICE_TASKS = [name for name in TASKS.names() if isinstance(TASKS.get(name), ChoiceTask)]
TEXT_TASKS = [name for name in TASKS.names() if isinstance(TASKS.get(name), TextTask)]
ORDER = np.random.default_rng(5)


def questions(name: str, files: dict[str, Path] | None = None) -> tuple[ChoiceTask, list[Question]]:
    task = TASKS.get(name)
    assert isinstance(task, ChoiceTask)
    return task, list(first_items(task.questions(files or {}), task.sample))


@pytest.fixture(params=["tiny", "mirror"])
def files(request: pytest.FixtureRequest, name: str, tmp_path: Path) -> dict[str, Path]:
    """A task's raw files: tiny ones, and the published ones."""
    raw = TASKS.get(name).raw
    if request.param == "tiny":
        return task_files(tmp_path, raw)
    if not raw:
        pytest.skip("the task is the study's own: it has no published files")
    found = mirrored_files(raw)
    if found is None:
        pytest.skip("needs VALM_MIRROR with the task's files")
    return found


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


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_an_answer_is_a_word_of_every_trained_vocabulary_or_scored_as_a_whole(name: str) -> None:
    task = TASKS.get(name)
    assert isinstance(task, ChoiceTask)
    as_a_whole = any(each.scorer == "full_label" for each in task.definitions)
    assert as_a_whole or set(task.choices) <= set(answer_words())
    assert len(set(task.choices)) == len(task.choices)


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_every_item_is_asked_in_every_wording_and_once(name: str, files: dict[str, Path]) -> None:
    task, asked = questions(name, files)
    real = [question for question in asked if question.answer >= 0]
    seen = [(question.item, question.part, question.prompt) for question in real]
    assert len(set(seen)) == len(seen)
    for part in {question.part for question in real}:
        mine = [question for question in real if question.part == part]
        assert len(mine) == len({q.item for q in mine}) * len({q.prompt for q in mine})
    assert all(0 <= question.answer < len(task.choices) for question in real)


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_a_question_ends_where_the_answer_begins(name: str, files: dict[str, Path]) -> None:
    _, asked = questions(name, files)
    for question in asked:
        assert question.text == question.text.strip()
        assert "  " not in question.text
        assert not re.search(r"THING|FIRST|SECOND|TEXT", question.text)


@pytest.mark.parametrize("name", OWN)
def test_our_own_questions_do_not_give_the_answer(name: str) -> None:
    task, asked = questions(name)
    for question in asked:
        assert "[" not in question.text
        words = set(re.findall(r"[a-z]+", question.text.lower()))
        assert not words & set(task.choices), question.text


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_calibrated_metrics_have_content_free_questions_in_every_wording(
    name: str, files: dict[str, Path]
) -> None:
    task, asked = questions(name, files)
    free = {question.prompt for question in asked if question.answer < 0}
    scorers = ("calibrated", "balanced", "macro_f1", "calibrated_both_orders")
    for definition in task.definitions:
        if definition.scorer in scorers:
            parts = {definition.part, "larger_first", "smaller_first"}
            real = {q.prompt for q in asked if q.answer >= 0 and q.part in parts}
            assert real and real <= free, definition


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_a_small_sample_has_items_of_every_metric_or_says_not(
    name: str, files: dict[str, Path]
) -> None:
    """The first things of the colour probe are all of one half; of other tasks no part is missing."""
    task = TASKS.get(name)
    assert isinstance(task, ChoiceTask)
    asked = list(first_items(task.questions(files), 3))
    frame = answers(asked, oracle(asked, len(task.choices)))
    for definition in task.definitions:
        found = has_items(frame, definition.scorer, definition.part)
        assert found or name == "colour", definition
        if found:
            assert SCORERS[definition.scorer](frame, definition.part)[0].value == 1.0


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


def oracle(asked: list[Question], choices: int) -> np.ndarray:
    return np.eye(choices)[[question.answer for question in asked]]


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_an_oracle_scores_one(name: str, files: dict[str, Path]) -> None:
    task, asked = questions(name, files)
    frame = answers(asked, oracle(asked, len(task.choices)))
    for definition in task.definitions:
        scores, _ = SCORERS[definition.scorer](frame, definition.part)
        assert scores.value == pytest.approx(1.0), definition
        wrong = answers(asked, 1 - oracle(asked, len(task.choices)))
        assert SCORERS[definition.scorer](wrong, definition.part)[0].value == 0.0, definition


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_random_answers_score_chance_within_their_interval(
    name: str, files: dict[str, Path]
) -> None:
    task, asked = questions(name, files)
    generator = np.random.default_rng(12)
    shape = (len(asked), len(task.choices))
    frames = [answers(asked, generator.random(shape)) for _ in range(20)]
    for definition in task.definitions:
        scored = [SCORERS[definition.scorer](frame, definition.part) for frame in frames]
        chance = scored[0][1].chance
        mine = pooled([scores for scores, _ in scored])
        low, high = interval(mine, resamples(len(mine.items), 2000, generator), 0.999)
        assert chance is not None and low <= chance <= high, definition


@pytest.mark.parametrize("name", CHOICE_TASKS)
def test_the_best_constant_answer_scores_what_the_majority_row_says(
    name: str, files: dict[str, Path]
) -> None:
    task, asked = questions(name, files)
    constant = [
        answers(asked, np.tile(np.eye(len(task.choices))[choice], (len(asked), 1)))
        for choice in range(len(task.choices))
    ]
    for definition in task.definitions:
        scored = [SCORERS[definition.scorer](frame, definition.part) for frame in constant]
        best = max(scores.value for scores, _ in scored)
        assert best == pytest.approx(scored[0][1].majority), definition


def stream() -> TokenStream:
    """A test split of four documents, two of them colour notes."""
    tokens = np.array([5, 6, 7, 0, 8, 9, 0, 5, 0, 6, 6, 0], np.uint16)
    documents, sources = np.array([0, 4, 7, 9, 12]), np.array([0, 1, 0, 1], np.uint8)
    return TokenStream(tokens, documents, sources, ["prose", "colour_notes"], np.zeros((2, 0), int))


def passages(name: str, files: dict[str, Path]) -> list[Passage]:
    task = TASKS.get(name)
    assert isinstance(task, TextTask)
    found = task.passages(files, stream(), lambda ids: " ".join(f"word{i}" for i in ids))
    return list(first_items(found, task.sample))


@pytest.mark.parametrize("name", TEXT_TASKS)
@pytest.mark.parametrize("known", [True, False])
def test_a_reader_who_knows_all_or_nothing_scores_what_it_should(
    name: str, known: bool, files: dict[str, Path]
) -> None:
    found = passages(name, files)
    tokens = [len(passage.text) for passage in found]
    rows = pl.DataFrame(
        {
            "item": [passage.item for passage in found],
            "part": [passage.part for passage in found],
            "words": [passage.words or len(passage.text.split()) for passage in found],
            "tokens": tokens,
            "nats": [0.0 if known else count * np.log(500) for count in tokens],
            "last_piece": known,
            "whole_word": known,
        }
    )
    frame = pl.concat(rows.with_columns(context=pl.lit(c)) for c in ("alone", "sliding"))
    for definition in TASKS.get(name).definitions:
        scores, _ = SCORERS[definition.scorer](frame, definition.part)
        assert len(set(scores.items)) == len(scores.items) > 0
        if definition.metric == "last_word":
            assert scores.value == float(known)
        elif known:
            assert scores.value == pytest.approx(1.0)
        elif definition.definition == "legacy":
            assert scores.value == pytest.approx(500)


# --- one model, asked in other batches and another order -------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return TinyStudy(tmp_path_factory.mktemp("study"))


def shuffled(requests: Requests) -> tuple[Requests, np.ndarray, np.ndarray]:
    """The same questions or passages in another order; that order, by token too."""
    order, endings = (ORDER.permutation(n) for n in (len(requests), len(requests.endings)))
    texts = [
        np.arange(*requests.offsets[text : text + 2])
        for text in (*order, *(len(requests) + endings))
    ]
    places = np.concatenate(texts)
    question, candidate = requests.endings[endings].T
    mixed = Requests(
        tokens=requests.tokens[places],
        offsets=np.cumsum([0, *map(len, texts)]),
        choices=requests.choices,
        endings=np.stack([np.argsort(order)[question], candidate], axis=1),
    )
    return mixed, order, places


@pytest.mark.parametrize("name", TASKS.names())
@pytest.mark.parametrize("branching", [True, False])
def test_batches_order_and_rows_change_no_score(
    study: TinyStudy, name: str, branching: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float32: which candidate or token is best exactly, log-probabilities to 1e-5."""
    request = study.prepare(name)
    requests, _ = read_requests(request)
    pictures = TaskPictures.read(study.illustrate(name, request))
    model, _ = load_model(study.models("valm", "joint")[0])
    table = np.load(study.vectors.with_name("values.npy"))
    values = standardise(torch.from_numpy(table).float())

    def reader(places: np.ndarray) -> Reader:
        ids, states = pictures.ids[places], pictures.values[places]
        return Reader(model, give("retrieved", ids, states, Showable(len(table)), 1), values)

    def otherwise() -> None:
        monkeypatch.setattr(Reader, "branching", branching)
        monkeypatch.setattr(rows, "ROW_TOKENS", 40)
        monkeypatch.setattr(reading, "TOKENS_PER_BATCH", 1)
        monkeypatch.setattr(reading, "LOGITS_PER_BATCH", 1)

    asking = reader(np.arange(len(requests.tokens)))
    mixed, order, places = shuffled(requests)
    if len(requests.choices):
        found = choice_scores(asking, requests, CONTEXT)
        otherwise()
        again = choice_scores(reader(places), mixed, CONTEXT)
        for mine, other in ((found.firsts, again.firsts), (found.wholes, again.wholes)):
            np.testing.assert_allclose(other, mine[order], rtol=0, atol=1e-5)
            np.testing.assert_array_equal(other.argmax(1), mine[order].argmax(1))
    else:
        scores = passage_scores(asking, requests, CONTEXT, CONTEXT // 2)
        otherwise()
        again = passage_scores(reader(places), mixed, CONTEXT, CONTEXT // 2)
        np.testing.assert_allclose(again.nats, scores.nats[places], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(again.is_best, scores.is_best[places])
