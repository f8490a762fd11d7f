"""A thousand web pages of OpenWebText, in CC-100's layout."""

from __future__ import annotations

from collections.abc import Iterator

from valm.ingest.text.documents import Document, read_plain_documents
from valm.ingest.text_sources import TextInputs, TextSource


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a page."""
    return map(Document, read_plain_documents(inputs.raw["openwebtext_1000"]))


PLUGIN = TextSource(documents, raw=("openwebtext_1000",))
