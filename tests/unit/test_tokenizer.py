"""The vocabulary: nothing lost, answers whole, prompts and text alike, CLIP's ids."""

from pathlib import Path

import pytest
from builders.texts import make_tokenizer, write_source
from hypothesis import given
from hypothesis import strategies as st

from valm.errors import ConfigError
from valm.ingest.probes import answer_words
from valm.ingest.text.cleaning import clean_text
from valm.ingest.vocabulary import tokenizer as module
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer

TEXTS = [f"The {i}th frog's pond, in 19{i}, was not deep; it was wide." for i in range(200)]
PLAIN = [
    "A banana isn't 1990's “naïve” fruit!! (50% off...)",
    "don't    stop\n\nnow :-)",
    "über-straße no. 42, 東京 ²",
]


@pytest.fixture(scope="module")
def bpe(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("bpe")
    return load_tokenizer(make_tokenizer(folder, [write_source(folder, "frogs", TEXTS)]))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return load_tokenizer(make_tokenizer(tmp_path_factory.mktemp("clip"), [], kind="clip"))


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_decoding_gives_the_normalised_text(bpe: Tokenizer, text: str) -> None:
    assert bpe.decode(bpe.encode(text)) == bpe.normalise(text)


ODD = st.text(
    st.sampled_from(
        " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2000\u2028\u3000\u200b'stdlvemσΣİß\u0301aA1९-"
    )
)


@given(texts=st.lists(ODD | st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_a_batch_has_the_ids_of_its_texts(
    bpe: Tokenizer, clip: Tokenizer, texts: list[str]
) -> None:
    for tokenizer in (bpe, clip):
        assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]


def test_remembered_words_are_forgotten_before_they_fill_the_memory(
    bpe: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WORDS_REMEMBERED", 5)
    texts = [f"word{n} word{n + 1} and {'x' * n}" for n in range(100)]
    for text in texts:
        assert bpe.encode_batch([text, text]) == [bpe.encode(text)] * 2
        assert len(bpe._known) <= 5


def test_normalised_is_lower_case_with_single_spaces(bpe: Tokenizer) -> None:
    assert bpe.normalise("  The\tCAFE\u0301\n\n is 2 ") == "the café is 2"


def test_answers_are_one_token_in_a_sentence_as_alone(bpe: Tokenizer) -> None:
    prompt = bpe.encode("The color of a frog is")
    for word in answer_words():
        answer = bpe.encode(word)
        assert len(answer) == 1
        assert bpe.token_text(answer[0]) == f" {word}"
        assert bpe.encode(f"the color of a frog is {word}") == prompt + answer


def test_digits_stand_alone(bpe: Tokenizer) -> None:
    assert [bpe.token_text(i) for i in bpe.encode("1990")] == [" 1", "9", "9", "0"]


def test_no_text_spells_the_end_of_text(bpe: Tokenizer, clip: Tokenizer) -> None:
    for tokenizer in (bpe, clip):
        ids = tokenizer.encode("one <|endoftext|> two <|startoftext|> <end_of_text>")
        assert tokenizer.end_of_text not in ids
        assert max(ids) < tokenizer.vocabulary_size
    assert bpe.decode([*bpe.encode("one"), bpe.end_of_text, *bpe.encode("two")]) == "one\ntwo"


def test_a_vocabulary_too_small_for_the_answers_is_a_config_error(tmp_path: Path) -> None:
    source = write_source(tmp_path, "frogs", TEXTS)
    with pytest.raises(ConfigError, match="too small for the answers"):
        make_tokenizer(tmp_path, [source], size=300)


def test_clip_ids_are_open_clips(clip: Tokenizer) -> None:
    from open_clip import SimpleTokenizer

    reference = SimpleTokenizer()
    assert clip.vocabulary_size == 49408
    assert clip.end_of_text == reference.eot_token_id == 49407
    for text in PLAIN:
        assert clip.encode(clean_text(text, third_party=True)) == reference.encode(text)
        assert clip.encode(clip.decode(clip.encode(text))) == clip.encode(text)
    assert clip.token_text(clip.encode("red")[0]) == "red "
    assert len(clip.encode("positive")) == 1
