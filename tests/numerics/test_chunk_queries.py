"""Queries by chunks are a direct run of CLIP, position by position; and they look ahead, as stated."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from builders.encoders import FakeEncoder
from builders.open_clip_models import parameters, saved, tiny_model
from builders.retrieval import unit_vectors, write_index, write_vectors

from valm.config.retrieve import Query
from valm.embed.encoders.open_clip import OpenClipEncoder, Params
from valm.embed.encoders.two_tower import ClipTwoTowerEncoder, TwoTowerEncoder
from valm.errors import ConfigError
from valm.retrieve.chunks import chunk_lengths
from valm.retrieve.growing import GrowingText
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import look_up
from valm.retrieve.queries import (
    chunk_windows,
    inputs_of_texts,
    queried_texts,
    states_at,
    token_states,
)

START, END, STOP = 49_406, 49_407, 269
CHUNKS, WINDOWS = Query(scheme="chunks", sequence_tokens=160), Query()


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> OpenClipEncoder:
    """A tiny random CLIP with 77 positions that reads the ids of fairseq's layout."""
    folder = tmp_path_factory.mktemp("clip")
    model, config = tiny_model(folder, context_length=77)
    checkpoint = saved(model, folder / "weights.safetensors")
    params = Params.model_validate(parameters(config, checkpoint))
    return OpenClipEncoder(model, params, "clip_fairseq")


def study_ids(seed: int, count: int) -> np.ndarray:
    """Ids of fairseq's layout: words, stops, ends of lines; uint16 [count]."""
    generator = np.random.default_rng(seed)
    words = generator.integers(1_000, 40_000, count)
    signs = generator.choice([STOP + 4, 2, 0], count, p=[0.03, 0.02, 0.95])
    return np.where(signs > 0, signs, words).astype(np.uint16)


def keys(encoder: OpenClipEncoder, tokens: np.ndarray, query: Query) -> np.ndarray:
    texts = queried_texts(np.array([0, len(tokens)]), query)
    return states_at(encoder, tokens, texts, np.arange(len(tokens)), query).keys


def official(encoder: OpenClipEncoder, tokens: np.ndarray) -> np.ndarray:
    """The algorithm of section 3.1 as it stands there, with CLIP's own modules, one text at a time."""
    text = encoder.model
    states = []
    for first in range(0, len(tokens), CHUNKS.sequence_tokens):
        sequence = tokens[first : first + CHUNKS.sequence_tokens].astype(int)
        ids = [END if token == 2 else token - 4 for token in sequence.tolist()]
        for length in chunk_lengths(ids):
            chunk, ids = ids[:length], ids[length:]
            padded = torch.tensor([START, *chunk, END] + [0] * (75 - length))[None]
            with torch.inference_mode():
                x = text.token_embedding(padded) + text.positional_embedding
                x = text.ln_final(text.transformer(x, attn_mask=text.attn_mask))
                x = x @ text.text_projection
            states.append((x / x.norm(dim=-1, keepdim=True))[0, 1 : length + 1].numpy())
    return np.concatenate(states)


def test_states_are_those_of_a_direct_run_at_every_position(encoder: OpenClipEncoder) -> None:
    tokens = study_ids(0, 700)
    found = keys(encoder, tokens, CHUNKS)
    np.testing.assert_allclose(found, official(encoder, tokens), atol=2e-6)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    at = np.random.default_rng(1).permutation(700)[:50]
    texts = queried_texts(np.array([0, 700]), CHUNKS)
    np.testing.assert_allclose(
        states_at(encoder, tokens, texts, at, CHUNKS).keys, found[at], atol=2e-6
    )


def test_blocks_of_a_stream_give_the_states_of_the_whole(encoder: OpenClipEncoder) -> None:
    """Also where a block of work ends inside an input of the model."""
    tokens = study_ids(3, 500)
    texts = queried_texts(np.array([0, 500]), CHUNKS)
    blocks = token_states(encoder, tokens, texts, CHUNKS, block_tokens=90)
    found = np.concatenate([block.keys for block in blocks])
    np.testing.assert_allclose(found, keys(encoder, tokens, CHUNKS), atol=2e-6)


def test_texts_longer_than_an_input_are_cut_like_a_stream_of_their_own(
    encoder: OpenClipEncoder, tmp_path: Path
) -> None:
    """Whole, such as held-out passages, and token by token, as in generating."""
    vectors = write_vectors(tmp_path, unit_vectors(40, encoder.key_width))
    search = Searcher(vectors, write_index(tmp_path / "indices", vectors))
    texts = [study_ids(seed, count).tolist() for seed, count in ((4, 200), (5, 30), (6, 410))]
    for text, found in zip(texts, look_up(texts, encoder, search, CHUNKS, 3), strict=True):
        queries = keys(encoder, np.array(text), CHUNKS)
        assert np.array_equal(found.ids, search.search(queries, 3)[0])
    growing = GrowingText(encoder, search, CHUNKS, 3)
    for length in (150, 170, 200):
        (found,) = look_up([texts[0][:length]], encoder, search, CHUNKS, 3)
        assert np.array_equal(growing.pictures(texts[0][:length]).ids, found.ids)


def test_no_chunk_is_longer_than_a_short_encoder_reads() -> None:
    """An encoder of 64 positions with inputs of 64 tokens: a passage of 73 has two inputs, not a chunk of 73."""
    query, texts = Query(scheme="chunks", sequence_tokens=64), np.array([0, 73])
    own = towers(ClipTwoTowerEncoder, 64)
    assert isinstance(own, ClipTwoTowerEncoder)
    own.vocabulary = "clip"
    ids = np.full(73, 2_000)
    cut = chunk_windows(own, ids, inputs_of_texts(texts, query), np.arange(73))
    assert cut.length.tolist() == [64, 9]


def test_the_query_is_the_tokens_own_state_not_the_end_of_texts(encoder: OpenClipEncoder) -> None:
    tokens = study_ids(2, 40)
    (last,) = keys(encoder, tokens, CHUNKS)[-1:]
    known = encoder.clip_ids(tokens).tolist()
    padded = torch.tensor([[START, *known, END] + [0] * 35])
    with torch.inference_mode():
        pooled = encoder.model.encode_text(padded, normalize=True)[0].numpy()
    assert np.abs(last - pooled).max() > 1e-2


def test_windows_are_prefix_invariant_and_chunks_are_not(encoder: OpenClipEncoder) -> None:
    """A text of 70 tokens is one chunk; with 10 more behind, the stop at 20 becomes a cut."""
    tokens = np.arange(2_000, 2_080, dtype=np.uint16)
    tokens[20] = STOP + 4
    for query, moved in ((WINDOWS, []), (CHUNKS, list(range(21, 70)))):
        whole, prefix = keys(encoder, tokens, query), keys(encoder, tokens[:70], query)
        distance = np.abs(whole[:70] - prefix).max(axis=1)
        assert np.flatnonzero(distance > 1e-3).tolist() == moved
        assert np.delete(distance, moved).max() < 2e-6


def test_a_later_token_moves_earlier_queries_of_chunks_only(encoder: OpenClipEncoder) -> None:
    """The look-ahead that a causality gate has to find: an end of line at 60 instead of a word."""
    tokens = np.arange(2_000, 2_100, dtype=np.uint16)
    tokens[20] = STOP + 4
    other = tokens.copy()
    other[60] = 2
    for query, moved in ((WINDOWS, []), (CHUNKS, list(range(21, 60)))):
        distance = np.abs(keys(encoder, tokens, query) - keys(encoder, other, query)).max(axis=1)
        assert np.flatnonzero(distance[:60] > 1e-3).tolist() == moved


def test_fairseqs_entries_are_read_as_the_official_code_reads_them(
    encoder: OpenClipEncoder,
) -> None:
    ids = np.array([1, 2, 4, 273, 49_411], np.uint16)
    assert encoder.clip_ids(ids).tolist() == [0, END, 0, STOP, END]


def test_other_encoders_and_shorter_ones_refuse_chunks(tmp_path: Path) -> None:
    tokens, texts = np.zeros(3, int), np.array([0, 3])
    with pytest.raises(ConfigError, match=r"does not read CLIP's ids .*query\.scheme"):
        states_at(FakeEncoder(), tokens, texts, np.arange(3), CHUNKS)
    model, config = tiny_model(tmp_path)
    params = parameters(config, saved(model, tmp_path / "weights.safetensors"))
    short = OpenClipEncoder(model, Params.model_validate(params))
    with pytest.raises(ConfigError, match="up to 75 tokens, the encoder reads 19"):
        states_at(short, tokens, texts, np.arange(3), CHUNKS)


def towers(kind: type[TwoTowerEncoder], context_tokens: int) -> TwoTowerEncoder:
    """Two towers of which only the sizes are asked for."""
    encoder = kind.__new__(kind)
    encoder.key_width = encoder.value_width = 4
    encoder.context_tokens = context_tokens
    return encoder


@pytest.mark.parametrize(
    "kind, context_tokens, said",
    [
        (ClipTwoTowerEncoder, 64, None),
        (ClipTwoTowerEncoder, 63, "up to 64 tokens, the encoder reads 63"),
        (TwoTowerEncoder, 64, "does not read CLIP's ids"),
    ],
)
def test_towers_over_clip_s_vocabulary_can_be_asked_in_chunks(
    kind: type[TwoTowerEncoder], context_tokens: int, said: str | None
) -> None:
    encoder = towers(kind, context_tokens)
    none = np.zeros(0, np.int64)
    query = Query(scheme="chunks", sequence_tokens=64)
    expected = pytest.raises(ConfigError, match=said) if said else nullcontext()
    with expected:
        states_at(encoder, none, np.zeros(1, np.int64), none, query)


def test_towers_know_clip_s_ids_of_both_kinds_of_vocabulary(encoder: OpenClipEncoder) -> None:
    own = towers(ClipTwoTowerEncoder, 64)
    assert isinstance(own, ClipTwoTowerEncoder)
    own.vocabulary = "clip_fairseq"
    ids = np.array([2, 4, 300, 4 + 49_407])
    np.testing.assert_array_equal(own.clip_ids(ids), encoder.clip_ids(ids))
    own.vocabulary = "clip"
    np.testing.assert_array_equal(own.clip_ids(ids[:3]), ids[:3])
