"""The towers: losses against a plain computation, causal states, the same bits from the same seed."""

from __future__ import annotations

import math

import numpy as np
import open_clip
import torch
from builders.pictured_words import PICTURES, TEXTS, ids_of, small_tokenizer
from torch.nn import functional

from valm.embed.towers.losses import (
    PictureSets,
    colour_divergence,
    pictures_to_states,
    states_to_pictures,
)
from valm.embed.towers.mentions import find_mentions
from valm.embed.towers.networks import PictureTower, TextTower, text_states
from valm.embed.towers.picture_training import PictureTraining, train_picture_tower
from valm.embed.towers.text_training import (
    Targets,
    TextTraining,
    start_from_phrases,
    train_text_tower,
)
from valm.embed.towers.text_transformer import TextTransformer
from valm.embed.towers.windows import SentenceMix, collect_sentences
from valm.embed.words import WordReader

MEMBERS = [np.array([0, 2]), np.array([1]), np.array([1, 3, 4])]
SCALE = 7.0


def _unit(rows: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return functional.normalize(
        torch.randn(rows, 6, generator=generator, dtype=torch.float64), dim=1
    )


def test_losses_equal_the_plain_sums() -> None:
    pictures, states, spoken = _unit(5, 0), _unit(4, 1), [0, 2, 1, 2]
    sets = PictureSets.of(MEMBERS)
    scale = torch.tensor(SCALE)
    centres = sets.means(pictures)[spoken]
    found = states_to_pictures(states, pictures, centres, scale)
    logits = [[SCALE * float(s @ p) for p in pictures] for s in states]
    for row, number in enumerate(spoken):
        normaliser = math.log(sum(math.exp(x) for x in logits[row]))
        wanted = np.mean([normaliser - logits[row][p] for p in MEMBERS[number]])
        assert abs(float(found[row]) - wanted) < 1e-5

    positive = sets.membership(5)[spoken].T.float()
    anchors = [1, 2, 4]
    back = pictures_to_states(pictures[anchors], states, positive[anchors], scale)
    for row, picture in enumerate(anchors):
        normaliser = math.log(sum(math.exp(logits[s][picture]) for s in range(4)))
        speaking = [s for s in range(4) if picture in MEMBERS[spoken[s]]]
        wanted = np.mean([normaliser - logits[s][picture] for s in speaking])
        assert abs(float(back[row]) - wanted) < 1e-5


def test_with_one_positive_each_it_is_clips_loss() -> None:
    pictures, states = _unit(4, 0), _unit(4, 1)
    scale = torch.tensor(SCALE)
    logits = SCALE * states @ pictures.T
    there = states_to_pictures(states, pictures, pictures, scale)
    back = pictures_to_states(pictures, states, torch.eye(4), scale)
    torch.testing.assert_close(there, functional.cross_entropy(logits, torch.arange(4), reduction="none"),
                               check_dtype=False, rtol=1e-5, atol=1e-5)  # fmt: skip
    torch.testing.assert_close(back, functional.cross_entropy(logits.T, torch.arange(4), reduction="none"),
                               check_dtype=False, rtol=1e-5, atol=1e-5)  # fmt: skip


def test_the_divergence_is_zero_at_the_wanted_shares_only() -> None:
    wanted = torch.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert torch.allclose(colour_divergence(wanted.clamp(min=1e-9).log(), wanted), torch.zeros(2))
    even = torch.full((2, 3), math.log(1 / 3))
    expected = torch.tensor([math.log(3 / 2), math.log(3)])
    assert torch.allclose(colour_divergence(even, wanted), expected)


def test_token_states_depend_on_the_past_only() -> None:
    torch.manual_seed(0)
    tower = TextTower(vocabulary_size=50, context_tokens=12, layers=2, width=16, colours=11).eval()
    ids = torch.randint(50, (3, 12))
    for place in range(1, 12):
        other = ids.clone()
        other[:, place:] = (other[:, place:] + 1) % 50
        for first, second in zip(tower(ids), tower(other), strict=True):
            assert torch.equal(first[:, :place], second[:, :place])
            assert not torch.allclose(first[:, place:], second[:, place:])
    torch.testing.assert_close(tower(ids[:, :5])[0], tower(ids)[0][:, :5])


def _trained() -> tuple[torch.Tensor, torch.Tensor, PictureSets, list[str], TextTower]:
    tokenizer = small_tokenizer()
    reader = WordReader(tokenizer)
    texts = [ids_of(tokenizer, text) for text in TEXTS]
    mentions = find_mentions(PICTURES, [reader.read(ids).texts for ids in texts])
    mix = SentenceMix(held_out_fraction=0, side_tokens=6)
    sentences = collect_sentences(texts, PICTURES, mentions, tokenizer, reader, mix)
    sets = PictureSets.of(sentences.members)
    inputs = torch.randn(len(PICTURES), 8, generator=torch.Generator().manual_seed(3))
    torch.manual_seed(0)
    pictures = PictureTower(8, 16, 16)
    text = TextTower(tokenizer.vocabulary_size, 24, 1, 16, 11)
    phrases = train_picture_tower(pictures, inputs, sets, PictureTraining(steps=60), seed=5)
    start_from_phrases(text, sentences.forms, phrases)
    keys = pictures(inputs).detach()
    shares = torch.full((len(PICTURES), 11), 1 / 11)
    targets = Targets(keys, sets.means(keys), sets.means(shares))
    settings = TextTraining(steps=250, windows_per_step=8, precision="float32")
    train_text_tower(text, targets, sentences, mix, settings, seed=5)
    return phrases, keys, sets, mentions.names, text.eval()


def test_training_gives_the_same_bits_and_finds_what_is_named() -> None:
    phrases, keys, sets, names, text = _trained()
    again = _trained()
    assert torch.equal(phrases, again[0]) and torch.equal(keys, again[1])
    parameters = zip(text.parameters(), again[4].parameters(), strict=True)
    assert all(torch.equal(first, second) for first, second in parameters)

    holds = sets.membership(len(PICTURES))
    nearest = (phrases @ keys.T).argmax(dim=1)
    assert holds[torch.arange(sets.count), nearest].all()
    tokenizer = small_tokenizer()
    for name in ("hammer", "banana", "grapes"):  # of three tokens, one, three
        ids = torch.tensor([tokenizer.encode(f"a {name}")])
        found = int((text(ids)[0][0, -1] @ keys.T).argmax())
        assert PICTURES[found]["name"] == name
        assert holds[names.index(name), found]


def test_several_threads_give_the_same_bits_again() -> None:
    """At the default study's size, where threads share the slopes of pictures in several sets."""
    generator = np.random.default_rng(3)
    inputs = torch.from_numpy(generator.normal(size=(2_700, 203)).astype(np.float32))
    members = [generator.choice(2_700, 1 + n % 12, replace=False) for n in range(1_500)]
    settings, before = PictureTraining(steps=3), torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = []
        for _ in range(4):
            torch.manual_seed(1)
            tower = PictureTower(203, 512, 192)
            phrases = train_picture_tower(tower, inputs, PictureSets.of(members), settings, seed=1)
            found.append(phrases.numpy().tobytes())
    finally:
        torch.set_num_threads(before)
    assert len(set(found)) == 1
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_text_transformer_is_open_clip_s_bit_for_bit() -> None:
    sizes = {"context_length": 9, "vocab_size": 30, "width": 16, "heads": 4, "layers": 3}
    torch.manual_seed(5)
    theirs = open_clip.transformer.TextTransformer(**sizes, output_dim=12)
    torch.manual_seed(5)
    ours = TextTransformer(**sizes, output_dim=12)
    start, wanted = ours.state_dict(), theirs.state_dict()
    assert list(start) == list(wanted)
    assert all(torch.equal(start[name], wanted[name]) for name in wanted)
    ids = torch.randint(30, (2, 7))
    states = text_states(ours, ids)
    assert torch.equal(states, text_states(theirs, ids))
    weights = torch.randn(states.shape)
    for model in (ours, theirs):
        (text_states(model, ids) * weights).sum().backward()
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        if name != "text_projection":  # comes after the states
            assert torch.equal(parameter.grad, gradients[name].grad), name
