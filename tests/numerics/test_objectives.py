"""Objectives in closed form, and their losses beside Hugging Face's."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from valm.models.fusion import FUSIONS, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.objective import OBJECTIVES
from valm.models.objectives.masked_lm import ASKED
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig

TRUNK = TrunkConfig(layers=3, width=12, heads=3, context_tokens=20)
VOCABULARY = 40


def make(objective: str, fusion: str = "joint") -> LanguageModel:
    model = LanguageModel(TRUNK, make_fusion(fusion, {}), VOCABULARY, 12, objective)
    initialise(model, 1)
    return model.double().eval()


def some_ids(texts: int = 3, tokens: int = 20) -> torch.Tensor:
    return torch.randint(0, VOCABULARY, (texts, tokens), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fusion", FUSIONS.names())
@pytest.mark.parametrize("seen", [True, False])
def test_a_prefix_is_seen_by_all_and_the_rest_from_behind_only(fusion: str, seen: bool) -> None:
    """Of 5 tokens with a prefix of 2, of all, and of 1, which is a causal text."""
    model, ids = make("causal_lm", fusion), some_ids(3, 5)
    pictures = Pictures(torch.ones(3, 5, 2) > 0, vectors=torch.randn(3, 5, 2, 12).double())
    given, prefix = pictures if seen else None, torch.tensor([2, 5, 1])
    states = model.trunk.states_before(1, ids, given, prefix=prefix)
    for layer in range(TRUNK.layers):
        block = model.trunk.block(layer)
        weights = block.weights(states, given, prefix).text
        causal = torch.ones(5, 5).tril() > 0
        wanted = torch.stack([causal.clone(), torch.ones(5, 5) > 0, causal])
        wanted[0, :2, :2] = True
        assert torch.equal((weights > 0).all(dim=1), wanted)
        if given is None:
            normed = block.attention_norm(states)
            mixed = weights @ block.attention.split(normed)[2]
            found = block.attention(normed, None, prefix=prefix)
            torch.testing.assert_close(found, block.attention.leave(mixed))


def test_causal_lm_asks_for_every_next_token() -> None:
    ids = some_ids()
    exercise = OBJECTIVES.get("causal_lm").exercise(ids, ids.roll(-1, 1), VOCABULARY)
    assert exercise.ids is ids and torch.equal(exercise.answers, ids.roll(-1, 1))
    assert exercise.asked is None and exercise.prefix is None


def test_prefix_lm_asks_for_what_the_prefix_does_not_show() -> None:
    ids = some_ids(2000, 4)
    exercise = OBJECTIVES.get("prefix_lm").exercise(ids, ids.roll(-1, 1), VOCABULARY)
    assert exercise.prefix is not None and exercise.asked is not None
    assert torch.equal(exercise.ids, ids) and torch.equal(exercise.answers, ids.roll(-1, 1))
    # A prefix of p tokens shows the answers of its first p - 1 places.
    for length, asked in (
        (1, [1, 1, 1, 1]),
        (2, [0, 1, 1, 1]),
        (3, [0, 0, 1, 1]),
        (4, [0, 0, 0, 1]),
    ):
        rows = exercise.prefix == length
        assert 400 < int(rows.sum()) < 600
        assert (exercise.asked[rows] == (torch.tensor(asked) > 0)).all()


def test_masked_lm_asks_for_15_percent_of_which_80_are_masked_and_10_replaced() -> None:
    ids = some_ids(4000, 20)
    objective = OBJECTIVES.get("masked_lm")
    exercise = objective.exercise(ids, ids, VOCABULARY, torch.Generator().manual_seed(2))
    asked = exercise.asked
    assert asked is not None and exercise.prefix is not None
    assert (asked.sum(1) == round(ASKED * 20)).all() and (exercise.prefix == 20).all()
    assert torch.equal(exercise.answers, ids)
    assert torch.equal(exercise.ids[~asked], ids[~asked])
    read, was = exercise.ids[asked], ids[asked]
    assert float((read == VOCABULARY).double().mean()) == pytest.approx(0.8, abs=0.01)
    # One in ten is drawn anew, by chance as it was.
    kept = 0.1 + 0.1 / VOCABULARY
    assert float((read == was).double().mean()) == pytest.approx(kept, abs=0.01)
    assert float(asked.double().mean(0).std()) < 0.03  # every place alike
    short = objective.exercise(ids[:5, :2], ids[:5, :2], VOCABULARY)
    assert short.asked is not None and (short.asked.sum(1) == 1).all()


@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_the_loss_is_hugging_faces_of_what_is_asked(objective: str) -> None:
    """Theirs take logits and labels, -100 where nothing is asked."""
    from transformers.loss.loss_utils import ForMaskedLMLoss

    model, ids = make(objective), some_ids()
    exercise = model.objective.exercise(
        ids, ids.roll(-1, 1), VOCABULARY, torch.Generator().manual_seed(2)
    )
    parts = (exercise.ids, exercise.answers, None, exercise.asked, exercise.prefix)
    logits = model(exercise.ids, prefix=exercise.prefix)
    labels = exercise.answers
    if exercise.asked is not None:
        labels = labels.masked_fill(~exercise.asked, -100)
    loss = model.loss(*parts)
    torch.testing.assert_close(
        loss, functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    )
    theirs = ForMaskedLMLoss(logits, labels, logits.shape[-1])
    torch.testing.assert_close(loss.float(), theirs)
    torch.testing.assert_close(model.token_losses(*parts).mean(), loss)


def test_a_prefix_of_one_token_is_a_causal_text() -> None:
    model, ids = make("prefix_lm"), some_ids()
    torch.testing.assert_close(model(ids, prefix=torch.ones(3, dtype=torch.long)), model(ids))


def test_a_masked_lm_shows_every_token_the_pictures_of_the_last() -> None:
    model, ids = make("masked_lm"), some_ids()
    vectors = torch.randn(3, 20, 2, 12).double()
    mask = torch.rand(3, 20, 2) < 0.7
    alike = Pictures(mask[:, -1:].expand_as(mask), vectors=vectors[:, -1:].expand_as(vectors))
    assert torch.equal(model(ids, Pictures(mask, vectors=vectors)), model(ids, alike))
    table, rows = torch.randn(5, 12).double(), torch.randint(0, 5, (3, 20, 2))
    by_row = Pictures(mask, table=table, ids=rows).of_last_token()
    assert by_row.table is table and by_row.ids is not None
    assert (by_row.ids == rows[:, -1:]).all()


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_pictures_are_masked_for_whole_tokens(probability: float) -> None:
    torch.manual_seed(3)
    pictures = Pictures(torch.ones(50, 40, 3) > 0, vectors=torch.zeros(50, 40, 3, 1))
    mask = pictures.masked(probability).mask
    assert torch.equal(mask.any(2), mask.all(2))
    assert float((~mask).double().mean()) == pytest.approx(probability, abs=0.04)


def test_null_images_stand_beside_own_pictures_and_in_their_place() -> None:
    """One more picture in the softmax of every token; the only one where its own are masked."""
    plain = make("causal_lm")
    model = LanguageModel(TRUNK, make_fusion("joint", {"null_image": True}), VOCABULARY, 12)
    initialise(model, 1)
    model = model.double().eval()
    attention = model.trunk.block(1).attention
    null = attention.get_parameter("null_image.vector")
    state = {name: value for name, value in model.state_dict().items() if "null_image" not in name}
    plain.load_state_dict(state)
    ids, vectors = some_ids(), torch.randn(3, 20, 2, 12).double()
    mask = torch.rand(3, 20, 2) < 0.6
    mask[0, 3] = False
    own = Pictures(mask, vectors=vectors)
    both = Pictures(
        torch.cat([mask, torch.ones(3, 20, 1) > 0], 2),
        vectors=torch.cat([vectors, null.expand(3, 20, 1, 12)], 2),
    )
    alone = Pictures(torch.ones(3, 20, 1) > 0, vectors=null.expand(3, 20, 1, 12))
    torch.testing.assert_close(model(ids, own), plain(ids, both))
    torch.testing.assert_close(model(ids), plain(ids, alone))
    torch.testing.assert_close(model(ids, own.masked(1.0)), plain(ids, alone))
    weights = model.attention(1, ids, own)
    wanted = plain.attention(1, ids, both)
    torch.testing.assert_close(weights.pictures, wanted.pictures[..., :2])
    torch.testing.assert_close(weights.text, wanted.text)
    model.loss(ids, ids, own).backward()
    assert null.grad is not None and null.grad.abs().sum() > 0
