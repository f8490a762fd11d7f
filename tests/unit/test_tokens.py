"""Token streams: the same bits again, no document in two splits, caps and shares kept."""

import re
from pathlib import Path

import numpy as np
import pytest
from builders.texts import make_tokenizer, make_tokens, write_source

from valm.core.manifest import read_manifest
from valm.embed.towers.sentences import document_texts
from valm.errors import ConfigError, InputError
from valm.evaluate.questions.definitions import TASKS
from valm.ingest.text.corpus import SPLITS
from valm.ingest.text.documents import Document, line_blocks
from valm.ingest.text.tokens import TokenStream
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer

PONDS = [f"pond {i} is {i % 7} metres deep." for i in range(600)]
FROGS = [f"Frog {i} sits near\npond {i % 9}." for i in range(400)] + [PONDS[5].upper(), PONDS[6]]
NOTES = [
    Document(f"the toy{i} {verb} red.", f"toy{i}")
    for i in range(60)
    for verb in ("is", "looks", "was")
]
FRACTIONS = {"valid_fraction": 0.2, "test_fraction": 0.2}


@pytest.fixture(autouse=True)
def _work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "text"
    sources = {"ponds": PONDS, "frogs": FROGS, "colour_notes": NOTES}
    return [write_source(folder, name, documents) for name, documents in sources.items()]


@pytest.fixture
def vocabulary(tmp_path: Path, texts: list[Path]) -> Path:
    return make_tokenizer(tmp_path, texts)


def texts_of(manifest: Path, tokenizer: Tokenizer, split: str) -> list[str]:
    stream = TokenStream.open(manifest, split)
    pieces = np.split(stream.tokens, stream.documents[1:-1])
    assert all(piece[-1] == tokenizer.end_of_text for piece in pieces)
    return [tokenizer.decode(piece[:-1]) for piece in pieces]


def test_every_document_once_in_one_split(
    tmp_path: Path, texts: list[Path], vocabulary: Path
) -> None:
    manifest = make_tokens(
        tmp_path, texts, vocabulary, split=FRACTIONS, colour_notes={"share": 0.9}
    )
    tokenizer = load_tokenizer(vocabulary)
    splits = [texts_of(manifest, tokenizer, split) for split in SPLITS]
    everything = [text for split in splits for text in split]
    expected = {" ".join(t.lower().split()) for t in (*PONDS, *FROGS, *(n.text for n in NOTES))}
    assert len(everything) == len(set(everything))
    assert set(everything) == expected
    assert all(len(split) > 100 for split in splits)
    toys = [{text.split()[1] for text in split if "toy" in text} for split in splits]
    assert all(toys)
    assert len(set.union(*toys)) == sum(map(len, toys)) == 60  # a group is in one split
    facts = read_manifest(manifest).facts
    assert facts["splits"]["train"]["words"] == sum(len(t.split()) for t in splits[0])
    assert sum(s["by_source"]["frogs"]["documents"] for s in facts["splits"].values()) == 400


def test_equal_seeds_give_equal_bytes_and_others_another_order(
    tmp_path: Path, texts: list[Path], vocabulary: Path
) -> None:
    first, again, other = (
        make_tokens(tmp_path / name, texts, vocabulary, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first.read_bytes() == again.read_bytes()
    tokenizer = load_tokenizer(vocabulary)
    one, two = (texts_of(manifest, tokenizer, "train") for manifest in (first, other))
    assert one != two
    assert sorted(one) == sorted(two)
    assert one[:50] != sorted(one)[:50]


def test_caps_and_the_share_of_notes_hold(
    tmp_path: Path, texts: list[Path], vocabulary: Path
) -> None:
    caps = {"ponds": 900, "frogs": 500}
    manifest = make_tokens(tmp_path / "a", texts, vocabulary, caps, colour_notes={"share": 0.2})
    facts = read_manifest(manifest).facts
    used = {
        name: sum(split["by_source"][name]["tokens"] for split in facts["splits"].values())
        for name in facts["sources"]
    }
    assert 880 < used["ponds"] <= 900
    assert 480 < used["frogs"] <= 500
    train = facts["splits"]["train"]
    assert 0.18 < train["by_source"]["colour_notes"]["tokens"] / train["tokens"] <= 0.2
    assert facts["colour_notes"]["reachable"] > 0.4

    # A larger cap keeps what a smaller one drew.
    tokenizer = load_tokenizer(vocabulary)
    wider = make_tokens(tmp_path / "b", texts, vocabulary, caps | {"ponds": 2000})
    small, large = (set(texts_of(path, tokenizer, "train")) for path in (manifest, wider))
    assert {t for t in small if t.startswith("pond")} < {t for t in large if t.startswith("pond")}

    none = make_tokens(tmp_path / "c", texts, vocabulary, caps, colour_notes={"share": 0.0})
    for split in read_manifest(none).facts["splits"].values():
        assert split["by_source"]["colour_notes"]["documents"] == 0


def test_a_source_that_is_not_configured_is_named(
    tmp_path: Path, texts: list[Path], vocabulary: Path
) -> None:
    odd = write_source(tmp_path, "pond", ["a pond."])
    with pytest.raises(ConfigError, match=r"'pond'.*did you mean 'ponds'"):
        make_tokens(tmp_path, [odd], vocabulary, sources=[{"name": "ponds"}])


def test_a_damaged_stream_and_a_wrong_split_are_refused(
    tmp_path: Path, texts: list[Path], vocabulary: Path
) -> None:
    manifest = make_tokens(tmp_path, texts, vocabulary)
    with pytest.raises(ConfigError, match="did you mean 'valid'"):
        TokenStream.open(manifest, "vald")
    with (tmp_path / "train.bin").open("ab") as file:
        file.write(b"\x01")
    with pytest.raises(InputError, match="its index states"):
        TokenStream.open(manifest, "train")


def test_under_lines_every_line_ends_and_a_blank_one_is_a_lone_end(
    tmp_path: Path, texts: list[Path]
) -> None:
    """As the official code has it: CLIP's ids + 4 and </s> after each line of a block of lines."""
    vocabulary = make_tokenizer(tmp_path, [], kind="clip_fairseq")
    manifest = make_tokens(
        tmp_path, texts, vocabulary, split=FRACTIONS, colour_notes={"share": 0.9}, documents="lines"
    )
    tokenizer = load_tokenizer(vocabulary)
    splits = [texts_of(manifest, tokenizer, split) for split in SPLITS]
    lines = [line for split in splits for line in split]
    wanted = [[*text.lower().split("\n"), ""] for text in (*PONDS, *FROGS)]
    wanted += [[note.text, ""] for note in NOTES]
    spelled = [tokenizer.decode(tokenizer.encode(line)) for part in wanted for line in part]
    assert sorted(lines) == sorted(spelled)
    first = lines.index(spelled[0])
    assert lines[first : first + 1_000] == spelled[:1_000]  # a block stays together, in its order
    toys = [{re.sub(r" (is|looks|was) .*", "", x) for x in s if "toy" in x} for s in splits]
    assert len(set.union(*toys)) == sum(map(len, toys)) == 60  # a group is in one split
    stream = TokenStream.open(manifest, "train")
    assert len(stream.sources) == len(stream.documents) - 1 == len(splits[0])
    assert stream.tokens[stream.documents[1:] - 1].tolist() == [2] * len(splits[0])
    passages = list(TASKS.get("held_out_text").passages({}, stream, tokenizer.decode))
    assert [passage.text for passage in passages] == [line for line in splits[0] if line]
    assert min(map(len, document_texts(stream))) > 0


@pytest.mark.parametrize("documents", ["blank_lines", "lines"])
def test_every_text_keeps_the_pictures_that_any_text_of_its_words_came_with(
    tmp_path: Path, texts: list[Path], documents: str
) -> None:
    pictured = [Document("Pond 1 is\n1 metres deep.", "pond", (7, 8))]
    pictured += [Document(f"toy {i}", f"toy {i}", (i,)) for i in range(9)]
    again = [Document("TOY 3", "t", (40, 3)), Document(PONDS[2], "t", (5,))]
    manifests = [
        *texts[:1],
        write_source(tmp_path / "text", "captions", pictured),
        write_source(tmp_path / "text", "more", again),
    ]
    vocabulary = make_tokenizer(tmp_path, manifests)
    manifest = make_tokens(
        tmp_path,
        manifests,
        vocabulary,
        split=FRACTIONS,
        documents=documents,
        colour_notes={"share": 0},
    )
    tokenizer, found = load_tokenizer(vocabulary), {}
    for split in SPLITS:
        stream = TokenStream.open(manifest, split)
        if not len(stream.sources):
            continue
        owner, picture = stream.pictures_at(stream.documents[:-1])
        for number, text in enumerate(texts_of(manifest, tokenizer, split)):
            if text and (own := picture[owner == number].tolist()):
                assert found.setdefault(text, own) == own
    by_line = {"pond 1 is": [7, 8], "1 metres deep.": [7, 8]}
    whole = {"pond 1 is 1 metres deep.": [7, 8]}
    assert found == (by_line if documents == "lines" else whole) | {
        f"toy {i}": [3, 40] if i == 3 else [i] for i in range(9)
    } | {PONDS[2]: [5]}


def test_a_split_without_text_is_named_where_it_is_read(
    tmp_path: Path, texts: list[Path], vocabulary: Path
) -> None:
    fractions = {"valid_fraction": 0.0, "test_fraction": 0.0}
    manifest = make_tokens(tmp_path, texts, vocabulary, split=fractions)
    stream = TokenStream.open(manifest, "test")
    assert len(stream.tokens) == len(stream.sources) == 0 and stream.documents.tolist() == [0]
    with pytest.raises(InputError, match=r"no test text .* ingest\.text\.split\.test_fraction"):
        next(TASKS.get("held_out_text").passages({}, stream, str))


def test_line_blocks_have_a_thousand_lines_with_the_blank_ones_among_them() -> None:
    documents = [Document("one\ntwo")] * 400 + [Document("three", "group")] + [Document("four")]
    blocks = list(line_blocks(documents))
    assert [len(block.text.split("\n")) for block in blocks] == [1000, 2, 202]
    assert blocks[1] == Document("three\n", "group")
    assert blocks[0].text.split("\n")[:4] == ["one", "two", "", "one"]
    assert blocks[2].text.endswith("two\n\nfour\n")
    assert list(line_blocks([])) == []
