"""Emoji become named pictures of things: no faces, flags, skin tones, or colours of print."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from valm.ingest.picture_sources import PICTURE_SOURCES
from valm.ingest.pictures.emoji import KEYWORDS, NAMES, caption_of, emoji_of_things, emoji_pictures
from valm.ingest.raw.sources import load_sources

THINGS, PEOPLE = "Food & Drink", "People & Body"
TABLE: list[dict[str, Any]] = [
    {"unified": "1F34C", "name": "BANANA", "category": THINGS, "subcategory": "food-fruit"},
    {"unified": "2764-FE0F", "name": "HEAVY BLACK HEART", "category": "Smileys & Emotion",
     "subcategory": "heart"},
    {"unified": "1F436", "name": "DOG FACE", "category": "Animals & Nature",
     "subcategory": "animal-mammal"},
    {"unified": "1F9B7", "name": "TOOTH", "category": PEOPLE, "subcategory": "body-parts"},
    {"unified": "1F442", "name": "EAR", "category": PEOPLE, "subcategory": "body-parts",
     "skin_variations": {}},
    {"unified": "1F600", "name": "GRINNING FACE", "category": "Smileys & Emotion",
     "subcategory": "face-smiling"},
    {"unified": "1F1E6-1F1F9", "name": "Austria Flag", "category": "Flags",
     "subcategory": "country-flag"},
    {"unified": "1F550", "name": "CLOCK FACE ONE OCLOCK", "category": "Travel & Places",
     "subcategory": "time"},
]  # fmt: skip
FOUND_BY = {"🍌": ["banana", "fruit", ":D", "banana"], "❤️": ["red_heart", "love", "black", "heavy"]}


def package(path: Path, **files: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def raw_files(folder: Path) -> dict[str, Path]:
    drawn = {f"img/{row['unified'].lower()}.png": row["unified"].encode() for row in TABLE}
    table, keywords = json.dumps(TABLE).encode(), json.dumps(FOUND_BY).encode()
    return {
        NAMES: package(folder / "names.tgz", **{"emoji.json": table, **drawn}),
        KEYWORDS: package(folder / "keywords.tgz", **{"dist/emoji-en-US.json": keywords}),
    }


def test_things_are_chosen_and_named(tmp_path: Path) -> None:
    found = {emoji.name: emoji for emoji in emoji_of_things(raw_files(tmp_path))}
    assert list(found) == ["banana", "red heart", "dog", "tooth"]
    assert caption_of(found["banana"]) == "banana, fruit"
    assert caption_of(found["red heart"]) == "red heart, love"  # filled in print, not black


def test_pictures_carry_their_names_from_the_package(tmp_path: Path) -> None:
    found = list(emoji_pictures(raw_files(tmp_path), NAMES, "package/img", ".png", "CC0"))
    assert [(picture.data, picture.name) for picture in found] == [
        (b"1F34C", "banana"), (b"2764-FE0F", "red heart"), (b"1F436", "dog"), (b"1F9B7", "tooth"),
    ]  # fmt: skip


def test_every_picture_source_reads_pinned_files() -> None:
    pins = load_sources()
    for name in PICTURE_SOURCES.names():
        raw = PICTURE_SOURCES.get(name).raw
        assert set(raw) <= set(pins), name
