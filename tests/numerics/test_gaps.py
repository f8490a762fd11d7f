"""A masked model's answers in a gap, beside a forward pass for each; passages are not asked of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from valm.core.job import Job
from valm.evaluate.answers.answering import Reader
from valm.evaluate.answers.gaps import gap_scores
from valm.evaluate.answers.predict import status_for
from valm.evaluate.questions.prepared import MEASURED, NO_TOKEN, NOT_ASKED, Requests
from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.pictures import Pictures, standardise
from valm.models.trunk import TrunkConfig
from valm.retrieve.given import give
from valm.retrieve.showable import Showable

CONTEXT, VOCABULARY, PICTURES, WIDTH = 8, 50, 20, 16
MASK = VOCABULARY  # the entry behind the text's vocabulary
LENGTHS = [3, 12, 3, 7, 1, 8, 5]


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def asked(candidates: list[list[int]]) -> Requests:
    longest = max(map(len, candidates))
    return Requests(
        tokens=np.random.default_rng(2).integers(0, VOCABULARY, sum(LENGTHS)),
        offsets=np.cumsum([0, *LENGTHS]),
        choices=np.array([ids + [NO_TOKEN] * (longest - len(ids)) for ids in candidates]),
        endings=np.empty((0, 2), np.int64),
    )


def reader(fusion: str, requests: Requests) -> Reader:
    trunk = TrunkConfig(layers=3, width=16, heads=2, context_tokens=CONTEXT)
    model = LanguageModel(trunk, make_fusion(fusion, {}), VOCABULARY, WIDTH, "masked_lm").eval()
    initialise(model, 1)
    generator, total = np.random.default_rng(2), len(requests.tokens)
    table = standardise(torch.from_numpy(generator.normal(size=(PICTURES, WIDTH))))
    ids = generator.integers(-1, PICTURES, (total, 3)).astype(np.int32)
    values = np.zeros((total, WIDTH), np.float16)
    return Reader(model.double(), give("retrieved", ids, values, Showable(PICTURES), 1), table)


@torch.inference_mode()
def alone(asking: Reader, requests: Requests, text: int, answer: list[int]) -> torch.Tensor:
    """Log-probabilities at an answer's places, the pictures being those of the question's last token."""
    end, kept = requests.offsets[text + 1], min(LENGTHS[text], CONTEXT - len(answer))
    question = requests.tokens[end - kept : end].tolist()
    ids = torch.tensor([[*question, *answer]])
    assert asking.given is not None and asking.given.ids is not None
    rows = torch.from_numpy(asking.given.ids[end - 1].astype(np.int64))
    mask = torch.from_numpy(asking.given.mask[end - 1])
    shape = (1, ids.shape[1], 3)
    shown = Pictures(
        mask.expand(shape), table=asking.table, ids=rows.expand(shape), standardised=True
    )
    logits = asking.model(ids, shown)[0, kept:, :VOCABULARY]
    return logits.log_softmax(-1)


@pytest.mark.parametrize("fusion", FUSIONS.names())
def test_answers_stand_in_the_gap_and_longer_ones_by_the_mean_of_their_pieces(fusion: str) -> None:
    requests = asked([[5], [6, 7], [8, 9, 10]])
    asking = reader(fusion, requests)
    found = gap_scores(asking, requests, CONTEXT)
    for text in range(len(LENGTHS)):
        one = alone(asking, requests, text, [MASK])[0]
        np.testing.assert_allclose(found.firsts[text], one[[5, 6, 8]], rtol=1e-6)
        two = [
            float(alone(asking, requests, text, answer)[place, token])
            for place, (answer, token) in enumerate((([MASK, 7], 6), ([6, MASK], 7)))
        ]
        three = [
            float(alone(asking, requests, text, answer)[place, token])
            for place, (answer, token) in enumerate(
                (([MASK, 9, 10], 8), ([8, MASK, 10], 9), ([8, 9, MASK], 10))
            )
        ]
        wanted = [float(one[5]), np.mean(two), np.mean(three)]
        np.testing.assert_allclose(found.wholes[text], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("objective", "choices", "status"),
    [
        ("masked_lm", [], NOT_ASKED),
        ("masked_lm", ["red", "blue"], MEASURED),
        ("prefix_lm", [], MEASURED),
        ("causal_lm", [], MEASURED),
    ],
)
def test_passages_are_asked_of_causal_models_only(
    objective: str, choices: list[str], status: str
) -> None:
    variant = {"name": "valm", "objective": objective}
    job = Job("evaluate-model", {"models.variants": [variant]}, "c0de")
    task: dict[str, Any] = {"task": "t", "status": MEASURED, "choices": choices}
    assert status_for(job, task) == status
    assert status_for(job, task | {"status": "unavailable"}) == "unavailable"
