"""Long film reviews and presidents' addresses, in CC-100's layout."""

from __future__ import annotations

from collections.abc import Iterator

from valm.ingest.text.documents import Document, read_plain_documents
from valm.ingest.text_sources import TextInputs, TextSource

RAW = ("prose_movie_reviews", "prose_state_union", "prose_inaugural")


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a review or address."""
    for name in RAW:
        yield from map(Document, read_plain_documents(inputs.raw[name]))


PLUGIN = TextSource(documents, raw=RAW)
