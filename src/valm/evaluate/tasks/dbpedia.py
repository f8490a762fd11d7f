"""DBPedia-14: first sentences of encyclopedia articles in fourteen classes (Zhang et al. 2015).

The file at hand is a subset of 5,000 whose classes are renumbered without a key. The map below was
inferred by reading its texts, and a score rests on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from valm.evaluate.questions.accuracy_task import LABEL_ACCURACY
from valm.evaluate.questions.data_files import drawn_order, label_place, read_table
from valm.evaluate.questions.labelled_text_task import (
    TOPIC_PROMPT,
    WORDS,
    LabelledText,
    LabelledTextTask,
)

TABLE = "dbpedia14"
VERBALISERS = {
    "Company": "company", "EducationalInstitution": "school", "Artist": "artist",
    "Athlete": "athlete", "OfficeHolder": "politics", "MeanOfTransportation": "transportation",
    "Building": "building", "NaturalPlace": "nature", "Village": "village", "Animal": "animal",
    "Plant": "plant", "Album": "album", "Film": "film", "WrittenWork": "book",
}  # fmt: skip
INFERRED_LABEL_MAP = {
    "1": "Artist", "2": "Company", "3": "OfficeHolder", "4": "Building", "5": "Village",
    "6": "Plant", "7": "EducationalInstitution", "8": "Animal", "9": "Album", "10": "WrittenWork",
    "11": "NaturalPlace", "12": "MeanOfTransportation", "13": "Athlete", "14": "Film",
}  # fmt: skip


class DBPedia(LabelledTextTask):
    """What kind of thing is the article about?"""

    licence = "CC BY-SA 3.0 (texts)"
    choices = tuple(VERBALISERS.values())
    definitions = tuple(
        replace(each, text=f"{each.text} The classes' names are inferred, not published.")
        for each in LABEL_ACCURACY
    )
    raw = (TABLE,)
    sample = 1000
    prompt, published_whole = TOPIC_PROMPT, True

    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All texts in the order of their hashes."""
        rows = list(read_table(raw[TABLE], ("class", "text"), header=False))
        for place in drawn_order([row.values["text"] for row in rows], TABLE):
            where, values = rows[place]
            number = label_place(values["class"], tuple(INFERRED_LABEL_MAP), where)
            name = tuple(INFERRED_LABEL_MAP.values())[number]
            answer = self.choices.index(VERBALISERS[name])
            yield LabelledText(str(place), values["text"], answer)


PLUGIN = DBPedia(WORDS)
