"""The official chunker on hand-made texts: which sign is cut at, and how far one is looked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders.texts import make_tokenizer
from hypothesis import given
from hypothesis import strategies as st

from valm.cli.registries import REGISTRIES
from valm.config.plugins import check_plugins
from valm.config.retrieve import Query
from valm.config.study import parse_study
from valm.errors import ConfigError
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.retrieve.chunks import LONGEST_CHUNK, SEPARATORS, chunk_lengths
from valm.retrieve.queries import inputs_of_texts, queried_texts

END, STOP, SEMICOLON, COMMA, HYPHEN, WORD = 49_407, 269, 282, 267, 268, 1_000


def text(length: int, **signs: int) -> list[int]:
    """Words with signs at some places: ``at5=STOP``."""
    ids = [WORD] * length
    for place, sign in signs.items():
        ids[int(place.removeprefix("at"))] = sign
    return ids


@pytest.mark.parametrize(
    ("ids", "lengths"),
    [
        ([], []),
        ([STOP], [1]),
        (text(75, at3=END, at9=STOP), [75]),  # up to 75 tokens are never cut
        (text(76), [75, 1]),  # no sign: exactly 75
        (text(160), [75, 75, 10]),
        (text(76, at9=STOP), [10, 66]),  # a rest of up to 75 is never cut either
        (text(100, at9=STOP, at40=END), [41, 59]),  # the end of text before a stop, wherever it is
        (text(100, at9=COMMA, at60=STOP), [61, 39]),
        (text(100, at9=HYPHEN, at60=COMMA, at61=SEMICOLON), [62, 38]),
        (text(100, at74=STOP), [75, 25]),
        (text(100, at75=STOP, at5=COMMA), [6, 70, 24]),  # 75 is out of reach until the first cut
        (text(100, at75=STOP), [75, 25]),
        (text(100, at5=STOP, at20=STOP, at30=STOP), [6, 15, 10, 69]),
        (text(200, at0=END, at1=END, at199=STOP), [1, 1, 75, 75, 48]),
        (text(100, at12=0, at5=STOP), [13, 75, 12]),  # padding before a stop
    ],
)
def test_where_a_text_is_cut(ids: list[int], lengths: list[int]) -> None:
    assert chunk_lengths(ids) == lengths


@given(st.lists(st.sampled_from([*SEPARATORS, WORD, WORD + 1]), max_size=400))
def test_chunks_are_the_text_and_short_enough(ids: list[int]) -> None:
    lengths = chunk_lengths(ids)
    assert sum(lengths) == len(ids)
    assert all(1 <= length <= LONGEST_CHUNK for length in lengths)


def test_separators_are_clips_whole_signs_in_the_order_of_priority(tmp_path: Path) -> None:
    clip = load_tokenizer(make_tokenizer(tmp_path, [], kind="clip"))
    spelled = [clip.entries[token].removesuffix("</w>") for token in SEPARATORS]
    assert " ".join(spelled) == '<|endoftext|> ! . ; ! : , ." ," ". ", ). ), / -'
    assert all(clip.entries[token].endswith("</w>") for token in SEPARATORS[2:])


def test_chunks_are_cut_out_of_the_models_inputs_and_windows_out_of_documents() -> None:
    documents = np.array([0, 30, 1100, 1300])
    inputs = queried_texts(documents, Query(scheme="chunks", sequence_tokens=512))
    assert inputs.tolist() == [0, 512, 1024, 1300]
    assert queried_texts(documents, Query()) is documents
    assert queried_texts(np.array([0]), Query(scheme="chunks")).tolist() == [0]


def test_of_texts_that_are_read_one_by_one_each_begins_an_input() -> None:
    texts = np.array([0, 30, 30, 1100, 1300])
    inputs = inputs_of_texts(texts, Query(scheme="chunks", sequence_tokens=512))
    assert inputs.tolist() == [0, 30, 542, 1054, 1100, 1300]
    assert inputs_of_texts(texts, Query()) is texts


@pytest.mark.parametrize(
    ("study", "message"),
    [
        ({}, r"'chunks' cuts at CLIP's punctuation, the vocabulary is 'bpe' .*query\.scheme"),
        (
            {"ingest": {"tokenizer": {"kind": "clip"}}},
            r"inputs of 512 tokens .* the trunk reads 64 .* -> set it to 64",
        ),
    ],
)
def test_chunks_of_another_vocabulary_or_length_are_refused_with_the_configuration(
    study: dict[str, object], message: str
) -> None:
    chunks = {"retrieve": {"presets": [{"name": "parity", "query": {"scheme": "chunks"}}]}}
    with pytest.raises(ConfigError, match=message):
        check_plugins(parse_study(study | chunks), REGISTRIES)
