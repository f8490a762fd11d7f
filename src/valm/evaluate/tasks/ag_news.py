"""AG News: descriptions of news in four topics, 7,600 in the test set (Zhang et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import LABEL_ACCURACY
from valm.evaluate.questions.data_files import drawn_order, label_place, read_table
from valm.evaluate.questions.labelled_text_task import (
    TOPIC_PROMPT,
    WORDS,
    LabelledText,
    LabelledTextTask,
)

TABLE = "ag_news"


class AgNews(LabelledTextTask):
    """What is the news about? The file's classes 1 to 4 are the choices in their order."""

    licence = "non-commercial use only (AG's corpus)"
    choices = ("world", "sports", "business", "technology")
    definitions = LABEL_ACCURACY
    raw = (TABLE,)
    sample = 1000
    prompt, published_whole = TOPIC_PROMPT, True

    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All descriptions, without their titles, in the order of their hashes."""
        rows = list(read_table(raw[TABLE], ("class", "title", "description"), header=False))
        for place in drawn_order([row.values["description"] for row in rows], TABLE):
            where, values = rows[place]
            answer = label_place(values["class"], ("1", "2", "3", "4"), where)
            yield LabelledText(str(place), values["description"], answer)


PLUGIN = AgNews(WORDS)
