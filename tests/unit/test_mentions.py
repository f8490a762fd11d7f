"""What a sentence speaks of: phrases, their pictures, and the positions they hold for."""

from __future__ import annotations

import numpy as np
import pytest
from builders.pictured_words import PICTURES, TEXTS, ids_of, small_tokenizer
from numpy.typing import NDArray

from valm.embed.towers.mentions import Mentions, find_mentions
from valm.embed.towers.sentences import NOTHING, document_texts, read_carrier, read_sentence
from valm.embed.towers.windows import SentenceMix, Sentences, collect_sentences, draw_windows
from valm.embed.words import COLOUR_WORDS, WordReader
from valm.ingest.probes import held_out_words
from valm.ingest.text.tokens import TokenStream

TOKENIZER = small_tokenizer()
READER = WordReader(TOKENIZER)
SPLIT = [READER.read(ids_of(TOKENIZER, text)).texts for text in TEXTS]
MENTIONS = find_mentions(PICTURES, SPLIT)


def pictures_of(phrase: str, mentions: Mentions = MENTIONS) -> list[int]:
    return mentions.pictures[mentions.numbers[phrase]].tolist()


def test_words_are_laid_onto_their_tokens() -> None:
    ids = ids_of(TOKENIZER, "The blue whale's 42 bananas, re-eaten.")
    words = READER.read(ids)
    assert words.texts == [
        "the",
        "blue",
        "whale's",
        "4",
        "2",
        "bananas",
        ",",
        "re",
        "-",
        "eaten",
        ".",
    ]
    for text, first, last in zip(*words, strict=True):
        assert "".join(TOKENIZER.token_text(i) for i in ids[first : last + 1]).strip() == text
    assert words.first[0] == 0 and words.last[-1] == len(ids) - 1
    assert all(words.first[1:] == words.last[:-1] + 1)


def test_a_name_comes_before_a_part_and_a_part_before_a_keyword() -> None:
    assert pictures_of("whale") == pictures_of("whales") == [0, 1]  # not the spouting one
    assert pictures_of("spouting whale") == [2]
    assert pictures_of("hut") == [4]
    assert pictures_of("snow") == [4]  # "snow" ends its phrase in the text
    assert pictures_of("fruit") == [3, 6]
    assert pictures_of("grapes") == [6]


def test_adjectives_colours_and_colour_itself_name_nothing() -> None:
    assert not {"soft", "yellow", "blue", "color", "colour"} & set(MENTIONS.numbers)


def test_the_longest_phrase_wins() -> None:
    words = "a spouting whale eats bananas".split()
    found = [(start, stop, MENTIONS.names[n]) for start, stop, n in MENTIONS.find(words)]
    assert found == [(1, 3, "spouting whale"), (4, 5, "banana")]


def test_positions_speak_of_the_last_phrase_and_await_the_first() -> None:
    ids = ids_of(TOKENIZER, "in the sea a whale ate one banana there")
    sentence = read_sentence(ids, READER, MENTIONS)
    words = READER.read(ids)
    last = dict(zip(words.texts, words.last, strict=True))
    names = ["" if n == NOTHING else MENTIONS.names[n] for n in sentence.mentions]
    assert set(names[: last["whale"]]) == {"sea"}
    assert names[last["whale"]] == names[last["banana"] - 1] == "whale"
    assert names[last["banana"]] == names[-1] == "banana"
    assert sentence.ages[last["sea"]] == sentence.ages[last["whale"]] == 0
    assert sentence.ages[0] == -last["sea"]
    assert sentence.ages[-1] == len(ids) - 1 - last["banana"]
    nothing = read_sentence(ids_of(TOKENIZER, "it is what it is"), READER, MENTIONS)
    assert (nothing.mentions == NOTHING).all() and (nothing.ages < 0).all()


def test_a_carrier_puts_another_name_in_the_same_place() -> None:
    ids = ids_of(TOKENIZER, "a red and blue whale near a banana")
    carrier = read_carrier(ids, READER, MENTIONS, longest=50)
    assert carrier is not None
    phrase = ids_of(TOKENIZER, "hammer")
    sentence = carrier.around(phrase, 7, before=50, after=50)
    assert TOKENIZER.decode(sentence.ids) == "a and hammer near a"
    assert set(sentence.mentions) == {7}
    assert sentence.ids[sentence.ages <= 0][-len(phrase) :].tolist() == phrase.tolist()
    short = carrier.around(phrase, 7, before=0, after=1)
    assert short.ids[: len(phrase)].tolist() == phrase.tolist() and len(short) == len(phrase) + 1


MIX = SentenceMix(held_out_fraction=0, side_tokens=8)


@pytest.fixture(scope="module")
def sentences() -> Sentences:
    texts = [ids_of(TOKENIZER, text) for text in TEXTS]
    return collect_sentences(texts, PICTURES, MENTIONS, TOKENIZER, READER, MIX)


def test_no_sentence_states_the_colour_of_a_probes_object(sentences: Sentences) -> None:
    def words(ids: NDArray[np.int64]) -> set[str]:
        return set(READER.read(ids).texts)

    assert {"banana", "bananas"} <= held_out_words()  # else this shows nothing
    read = [words(s.ids) for s in (*sentences.documents, *sentences.captions)]
    assert not [w for w in read if w & COLOUR_WORDS and w & held_out_words()]
    assert [w for w in read if w & COLOUR_WORDS] and [w for w in read if "banana" in w]
    for carrier in sentences.carriers:
        assert not words(np.concatenate([carrier.before, carrier.after])) & COLOUR_WORDS


def test_windows_are_full_of_whole_sentences_but_the_last(sentences: Sentences) -> None:
    windows = draw_windows(sentences, MIX, 50, 24, np.random.default_rng(0), side=8)
    assert windows.ids.shape == windows.mentions.shape == windows.ages.shape == (50, 24)
    assert (windows.mentions >= 0).mean() > 0.5
    assert windows.mentions.max() < len(sentences.members)
    again = draw_windows(sentences, MIX, 50, 24, np.random.default_rng(0), side=8)
    assert np.array_equal(windows.ids, again.ids)


def test_the_colour_notes_are_not_read() -> None:
    stream = TokenStream(
        np.array([1, 2, 0, 3, 0, 4, 0], np.uint16),
        np.array([0, 3, 5, 7]),
        np.array([1, 0, 1], np.uint8),
        ["colour_notes", "prose"],
        np.zeros((2, 0), np.int64),
    )
    assert [ids.tolist() for ids in document_texts(stream)] == [[1, 2], [4]]
