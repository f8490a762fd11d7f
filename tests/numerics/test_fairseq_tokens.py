"""CLIP's vocabulary in fairseq's layout: the official files, id for id, and CLIP's ids for any text."""

from __future__ import annotations

import random
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from builders.raw_files import raw_file
from builders.texts import make_tokenizer
from open_clip import SimpleTokenizer

from valm.evaluate.answers.answering import Reader
from valm.evaluate.answers.predict import Asked, passage_rows
from valm.evaluate.questions.prepared import Requests
from valm.evaluate.scores.metrics import SCORERS
from valm.evaluate.tasks.wikitext103 import PLUGIN, TITLE
from valm.ingest.text.detokenise import lambada_line, wikitext_line
from valm.ingest.text.fairseq import Lines, read_lines, write_dictionary, write_lines
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig

FIRST_OF_CLIP, END = 4, 2
SHIPPED = {
    "lambada_test": (5_153, 407_114),
    "wikitext103_test": (2_891, 279_980),
    "wikitext103_valid": (2_461, 245_424),
}


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("clip_fairseq")
    return load_tokenizer(make_tokenizer(folder, [], kind="clip_fairseq"))


def shipped(name: str, vocabulary: Tokenizer) -> Lines:
    raw_file(f"{name}_idx")
    return read_lines(raw_file(f"{name}_bin").with_suffix(""), vocabulary.vocabulary_size)


def clip_ids(reference: SimpleTokenizer, text: str) -> list[int]:
    return [token + FIRST_OF_CLIP for token in reference.encode(text)]


def random_lines(count: int) -> list[str]:
    """Words, digits, signs, accents in both forms, entities, broken encodings, odd spaces."""
    generator = random.Random(0)
    ranges = [(0x20, 0x7F)] * 4 + [(0xA1, 0x250), (0x391, 0x3CA), (0x400, 0x460), (0x300, 0x315)]
    ranges += [(0x4E00, 0x4F00), (0x2010, 0x2040), (0x1F600, 0x1F640), (0xE0, 0xFF), (0x9, 0xE)]
    whole = [
        "don't",
        "IT'S",
        "2004",
        "&amp;",
        "&amp;lt;",
        "Ã©tÃ©",
        "e&#769;",
        "\u00a0",
        "...",
        '".',
    ]

    def piece() -> str:
        if generator.random() < 0.2:
            return generator.choice(whole)
        first, last = generator.choice(ranges)
        return "".join(
            chr(generator.randrange(first, last)) for _ in range(generator.randint(1, 7))
        )

    return [" ".join(piece() for _ in range(generator.randint(0, 12))) for _ in range(count)]


def test_the_layout_is_fairseqs(vocabulary: Tokenizer) -> None:
    assert vocabulary.vocabulary_size == 49_412
    assert vocabulary.entries[:4] == ["<s>", "<pad>", "</s>", "<unk>"]
    assert vocabulary.entries[-2:] == ["<|startoftext|>", "<|endoftext|>"]
    assert (vocabulary.end_of_text, vocabulary.token_text(END)) == (END, "</s>")
    for spelled in ("<s> <pad> </s> <unk>", "<|startoftext|> <|endoftext|>"):
        ids = vocabulary.encode(spelled)
        assert min(ids) >= FIRST_OF_CLIP and max(ids) < 49_410  # no text spells an entry like these
        assert vocabulary.decode(ids).replace(" ", "") == spelled.replace(" ", "")


def test_ids_of_ten_thousand_random_lines_are_clips(vocabulary: Tokenizer) -> None:
    reference, lines = SimpleTokenizer(), random_lines(10_000)
    ours = vocabulary.encode_batch(lines)
    wrong = [
        line for line, ids in zip(lines, ours, strict=True) if ids != clip_ids(reference, line)
    ]
    assert not wrong, f"{len(wrong)}, such as {wrong[0]!r}"


def test_ids_of_ten_thousand_lines_of_prose_are_clips(vocabulary: Tokenizer) -> None:
    reference = SimpleTokenizer()
    lines = raw_file("lambada_test").read_text("utf-8").splitlines()
    lines += raw_file("lambada_test_plain").read_text("utf-8").splitlines()
    assert len(lines) > 10_000
    ours = vocabulary.encode_batch(lines)
    assert all(ids == clip_ids(reference, line) for line, ids in zip(lines, ours, strict=True))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_files_decode_and_encode_id_for_id(
    name: str, vocabulary: Tokenizer, tmp_path: Path
) -> None:
    lines = shipped(name, vocabulary)
    assert (len(lines), len(lines.tokens)) == SHIPPED[name]
    texts = []
    for ids in lines:
        assert ids[-1] == END and END not in ids[:-1]
        texts.append(vocabulary.decode(ids[:-1]))
    again = [[*ids, END] for ids in vocabulary.encode_batch(texts)]
    write_lines(tmp_path / "again", again, vocabulary.vocabulary_size)
    for part in ("bin", "idx"):
        assert (tmp_path / f"again.{part}").read_bytes() == raw_file(f"{name}_{part}").read_bytes()


def test_the_dictionary_is_the_shipped_one(vocabulary: Tokenizer, tmp_path: Path) -> None:
    write_dictionary(tmp_path / "dict.txt", vocabulary.entries)
    assert (tmp_path / "dict.txt").read_bytes() == raw_file("lambada_dictionary").read_bytes()


def test_lambada_is_made_again_from_its_plain_text(vocabulary: Tokenizer) -> None:
    texts = raw_file("lambada_test_plain").read_text("utf-8").splitlines()
    made = vocabulary.encode_batch([lambada_line(text) for text in texts])
    assert [[*ids, END] for ids in made] == list(shipped("lambada_test", vocabulary))


def test_wikitext_is_made_again_from_its_raw_text(vocabulary: Tokenizer) -> None:
    """All 2,891 lines. As it is, 1,539 of them would be equal: the detokeniser is what it takes."""
    texts = raw_file("wikitext103_test").read_text("utf-8").split("\n")
    texts = [text for text in texts if text.strip()]
    wanted = list(shipped("wikitext103_test", vocabulary))
    made = vocabulary.encode_batch([wikitext_line(text) for text in texts])
    assert [[*ids, END] for ids in made] == wanted
    as_it_is = vocabulary.encode_batch(texts)
    assert sum([*a, END] == b for a, b in zip(as_it_is, wanted, strict=True)) == 1_539


def test_wikitext_valid_is_made_again_where_its_words_are_at_hand(vocabulary: Tokenizer) -> None:
    """The validation text at hand has rare words as <unk>; 1,755 of its 2,461 lines have none."""
    texts = raw_file("wikitext103_valid").read_text("utf-8").split("\n")
    texts = [text for text in texts if text.strip()]
    wanted = list(shipped("wikitext103_valid", vocabulary))
    whole = [number for number, text in enumerate(texts) if "<unk>" not in text]
    made = vocabulary.encode_batch([wikitext_line(texts[number]) for number in whole])
    assert len(texts) == len(wanted) and len(whole) == 1_755
    assert [[*ids, END] for ids in made] == [wanted[number] for number in whole]


def test_legacy_perplexity_is_that_of_the_official_files_line_by_line(
    vocabulary: Tokenizer,
) -> None:
    """Each line of the shipped file behind ``</s>``, without the one of 521 tokens, on a model of their context.

    The task's way from text to score on the article of the longest line, against products of the file's own
    ids: fairseq's reader, its layout (a block a line), its filter.
    """
    lines = list(shipped("wikitext103_test", vocabulary))
    lengths = np.array([len(line) for line in lines])
    assert np.flatnonzero(lengths > 512).size == 1 and lengths.max() == 521
    texts = raw_file("wikitext103_test").read_text("utf-8").split("\n")
    texts = [text for text in texts if text.strip()]
    titles = [number for number, text in enumerate(texts) if TITLE.fullmatch(text.strip())]
    longest = int(lengths.argmax())
    first, last = max(n for n in titles if n <= longest), min(n for n in titles if n > longest)

    trunk = TrunkConfig(layers=2, width=8, heads=2, context_tokens=512)
    model = LanguageModel(trunk, make_fusion("none", {}), vocabulary.vocabulary_size)
    initialise(model, 1)
    reader = Reader(model.eval(), None, torch.empty(0, 0))
    task = PLUGIN.definitions[0]
    ids = vocabulary.encode_batch([wikitext_line(text) for text in texts[first:last]])
    requests = Requests.of_passages([[END, *line, END] for line in ids])
    named = {"item": "article", "part": task.part, "words": 1, "last_word_tokens": 1}
    rows = pl.DataFrame([named] * len(ids))
    asked = Asked(requests, rows, [asdict(task)])
    frame = pl.concat(passage_rows(reader, asked, trunk.context_tokens))
    scores, _ = SCORERS[task.scorer](frame, task.part)

    nats, tokens = 0.0, 0
    for line in lines[first:last]:
        if len(line) <= 512:
            with torch.inference_mode():
                told = model(torch.tensor([[END, *line[:-1]]]))[0].double().log_softmax(dim=-1)
            nats -= float(told[torch.arange(len(line)), line].sum())
            tokens += len(line)
    assert tokens == lengths[first:last].sum() - 521
    assert scores.value == pytest.approx(np.exp(nats / tokens), rel=1e-5)


@pytest.mark.parametrize(
    ("raw", "joined"),
    [
        ("all @-@ in , 5 @,@ 000 ( 2 @.@ 5 km ) .", "all-in, 5 @,@ 000 (2 @.@ 5 km)."),
        ('He said " no " . " Yes " !', 'He said "no". "Yes"!'),
        ("the boys ' \" big \" dog 's old ' bone '", "the boys' \"big\" dog's old 'bone'"),
        ("= = Notes = =", "= = Notes = ="),
        ("$ 5 [ sic ] ; 50 %", "$5 [sic]; 50%"),
        ("杜 甫 poet 詩 聖", "杜甫 poet 詩聖"),
    ],
)
def test_signs_are_joined_as_moses_joins_them(raw: str, joined: str) -> None:
    assert wikitext_line(raw) == joined


def test_lines_are_written_and_read_whatever_their_number(tmp_path: Path) -> None:
    for name, lines in {"none": [], "some": [[END], [5, 6, END], [49_411, END]]}.items():
        write_lines(tmp_path / name, lines, 49_412)
        assert list(read_lines(tmp_path / name, 49_412)) == lines
    assert (tmp_path / "some.bin").stat().st_size == 2 * 6
    write_lines(tmp_path / "wide", [[70_000, END]], 80_000)
    wide = read_lines(tmp_path / "wide", 80_000)
    assert list(wide) == [[70_000, END]] and wide.tokens.dtype == np.int32
