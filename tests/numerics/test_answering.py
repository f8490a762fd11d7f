"""Asking a model: batches, windows and picture tables change no answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from valm.evaluate.answers import reading, rows
from valm.evaluate.answers.answering import Reader, choice_scores, passage_scores
from valm.evaluate.questions.prepared import NO_TOKEN, Requests
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.pictures import standardise
from valm.models.trunk import TrunkConfig
from valm.retrieve.given import give
from valm.retrieve.showable import Showable

CONTEXT, VOCABULARY, PICTURES, WIDTH = 8, 50, 20, 16
SAME = {"rtol": 0, "atol": 1e-10}  # float64


@pytest.fixture(autouse=True)
def float64() -> object:
    """Rounding must not hide a difference."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def requests(lengths: list[int], choices: int = 3) -> Requests:
    generator = np.random.default_rng(2)
    total = sum(lengths)
    return Requests(
        tokens=generator.integers(0, VOCABULARY, total),
        offsets=np.cumsum([0, *lengths]),
        choices=np.arange(choices)[:, None] + 5,
        endings=np.empty((0, 2), np.int64),
    )


def reader(asked: Requests, control: str = "retrieved") -> Reader:
    fusion = "none" if control == "none" else "joint"
    trunk = TrunkConfig(layers=3, width=16, heads=2, context_tokens=CONTEXT)
    model = LanguageModel(trunk, make_fusion(fusion, {}), VOCABULARY, WIDTH).eval()
    initialise(model, 1)
    table = standardise(torch.from_numpy(np.random.default_rng(3).normal(size=(PICTURES, WIDTH))))
    generator, total = np.random.default_rng(2), len(asked.tokens)
    ids = generator.integers(-1, PICTURES, (total, 3)).astype(np.int32)
    values = generator.normal(size=(total, WIDTH)).astype(np.float16)
    given = None if control == "none" else give(control, ids, values, Showable(PICTURES), 1)
    return Reader(model.double(), given, table)


def one_by_one(asking: Reader, asked: Requests, text: int, first: int, last: int) -> torch.Tensor:
    """Log-probabilities after each token of a stretch of one text, from a forward pass of its own."""
    places = asked.offsets[text] + np.arange(first, last)[None, :]
    ids = torch.from_numpy(asked.tokens[places])
    with torch.inference_mode():
        return asking.model(ids, asking.pictures(places)).log_softmax(-1)[0]


@pytest.mark.parametrize("control", ["none", "retrieved", "random", "zero", "text_state"])
def test_answers_are_those_of_each_prompt_alone(control: str) -> None:
    asked = requests([3, 8, 3, 5, 1, 8, 3])
    asking = reader(asked, control)
    found = choice_scores(asking, asked, CONTEXT).firsts
    for text, length in enumerate(asked.lengths()):
        alone = one_by_one(asking, asked, text, 0, int(length))[-1, asked.choices[:, 0]]
        np.testing.assert_allclose(found[text], alone, rtol=1e-6)  # kept as float32


def test_what_looks_alike_and_is_shown_other_pictures_is_read_apart() -> None:
    """Two equal questions share a row, and each is answered by its own pictures."""
    asked = requests([5, 5])
    asked.tokens[5:] = asked.tokens[:5]
    asking = reader(asked)
    found = choice_scores(asking, asked, CONTEXT).firsts
    for text in range(2):
        alone = one_by_one(asking, asked, text, 0, 5)[-1, asked.choices[:, 0]]
        np.testing.assert_allclose(found[text], alone, rtol=1e-6)
    assert np.abs(found[0] - found[1]).min() > 1e-6


def with_endings(lengths: list[int], candidates: list[list[int]]) -> Requests:
    """Questions and, behind them, each with all tokens but the last of each longer candidate."""
    asked = requests(lengths)
    texts = np.split(asked.tokens, asked.offsets[1:-1])
    endings = [
        (q, c) for q in range(len(texts)) for c, ids in enumerate(candidates) if len(ids) > 1
    ]
    texts += [np.array([*texts[q], *candidates[c][:-1]]) for q, c in endings]
    longest = max(map(len, candidates))
    return Requests(
        tokens=np.concatenate(texts),
        offsets=np.cumsum([0, *map(len, texts)]),
        choices=np.array([ids + [NO_TOKEN] * (longest - len(ids)) for ids in candidates]),
        endings=np.array(endings),
    )


def test_a_candidate_of_several_tokens_is_scored_as_a_whole() -> None:
    """log p(candidate | question) = the sum over its tokens, each behind all tokens before it."""
    candidates = [[5], [6, 7], [8, 9, 10], [6, 11]]
    asked = with_endings([3, 5, 3, 4, 5], candidates)
    asking = reader(asked, "zero")  # the same pictures wherever a token stands
    found = choice_scores(asking, asked, CONTEXT)
    firsts, wholes = found.firsts, found.wholes
    assert len(asked) == 5 and firsts.shape == (5, 4)
    for question in range(5):
        text = asked.tokens[asked.offsets[question] : asked.offsets[question + 1]]
        for place, ids in enumerate(candidates):
            alone = Requests(
                tokens=np.array([*text, *ids]), offsets=np.array([0, len(text) + len(ids)]),
                choices=asked.choices, endings=asked.endings[:0],
            )  # fmt: skip
            behind = one_by_one(reader(alone, "zero"), alone, 0, 0, len(alone.tokens))
            steps = len(text) - 1 + np.arange(len(ids))
            np.testing.assert_allclose(wholes[question, place], behind[steps, ids].sum(), rtol=1e-6)
            np.testing.assert_allclose(firsts[question, place], behind[steps[0], ids[0]], rtol=1e-6)


@pytest.mark.parametrize("branching", [True, False])
@pytest.mark.parametrize(("tokens", "row"), [(1, 0), (7, 12), (64, 30), (1000, 1000)])
def test_how_texts_are_laid_out_changes_no_answer(
    monkeypatch: pytest.MonkeyPatch, tokens: int, row: int, branching: bool
) -> None:
    asked = requests([3, 8, 3, 5, 1, 8, 3, 20, 11])
    asking = reader(asked)
    answers = choice_scores(asking, asked, CONTEXT).wholes
    passages = passage_scores(asking, asked, CONTEXT, CONTEXT // 2)
    monkeypatch.setattr(reading, "TOKENS_PER_BATCH", tokens)
    monkeypatch.setattr(reading, "LOGITS_PER_BATCH", tokens * VOCABULARY)
    monkeypatch.setattr(rows, "ROW_TOKENS", row)
    monkeypatch.setattr(Reader, "branching", branching)
    again = choice_scores(asking, asked, CONTEXT).wholes
    np.testing.assert_allclose(again, answers, rtol=1e-6)
    again = passage_scores(asking, asked, CONTEXT, CONTEXT // 2)
    np.testing.assert_allclose(again.nats, passages.nats, rtol=1e-6)
    np.testing.assert_array_equal(again.is_best, passages.is_best)


def test_a_long_prompt_keeps_its_end() -> None:
    asked = requests([13])
    asking = reader(asked)
    found = choice_scores(asking, asked, CONTEXT).firsts
    end = one_by_one(asking, asked, 0, 13 - CONTEXT, 13)[-1, asked.choices[:, 0]]
    np.testing.assert_allclose(found[0], end, rtol=1e-6)


def reference_nats(asking: Reader, asked: Requests, text: int, stride: int) -> list[float]:
    """Each token of a passage from the first window that scores it, window by window."""
    length = int(asked.lengths()[text])
    nats: list[float] = []
    first = 0
    while len(nats) < length - 1:
        last = min(first + CONTEXT, length - 1)
        scored = one_by_one(asking, asked, text, first, last)
        for place in range(first + len(nats) - first, last):
            target = int(asked.tokens[asked.offsets[text] + place + 1])
            nats.append(-float(scored[place - first, target]))
        first += stride
    return nats


@pytest.mark.parametrize("stride", [CONTEXT, CONTEXT // 2, 3, 1])
def test_every_token_of_a_passage_is_scored_once_by_the_window_that_should(stride: int) -> None:
    asked = requests([5, 9, 10, 17, 2, 30])
    asking = reader(asked)
    found = passage_scores(asking, asked, CONTEXT, stride)
    for text, start in enumerate(asked.offsets[:-1]):
        expected = reference_nats(asking, asked, text, stride)
        end = asked.offsets[text + 1]
        assert found.nats[start] == 0
        np.testing.assert_allclose(found.nats[start + 1 : end], expected, rtol=1e-6)


def test_scores_that_are_taken_over_are_those_that_would_be_computed() -> None:
    asked = requests([5, 9, 10, 17, 2, 30, 8])
    asking = reader(asked)
    alone = passage_scores(asking, asked, CONTEXT, CONTEXT)
    taken = passage_scores(asking, asked, CONTEXT, CONTEXT // 2, known=alone)
    computed = passage_scores(asking, asked, CONTEXT, CONTEXT // 2)
    np.testing.assert_array_equal(taken.nats, computed.nats)
    np.testing.assert_array_equal(taken.is_best, computed.is_best)
    assert not np.array_equal(alone.nats, computed.nats)


def test_the_best_token_is_the_most_likely_one() -> None:
    asked = requests([6])
    asking = reader(asked)
    best = one_by_one(asking, asked, 0, 0, 5).argmax(-1).numpy()
    asked.tokens[1:6] = np.where([True, False, True, False, True], best, (best + 1) % VOCABULARY)
    # A changed token changes what comes after it, so only the first is known beforehand.
    found = passage_scores(asking, asked, CONTEXT, CONTEXT)
    after = one_by_one(asking, asked, 0, 0, 5).argmax(-1).numpy()
    np.testing.assert_array_equal(found.is_best[1:], after == asked.tokens[1:6])
    assert found.is_best[1]
