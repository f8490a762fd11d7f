"""CC-100's English, or any web text in its layout: files that the study names (``ingest.text.params``)."""

from __future__ import annotations

from collections.abc import Iterator

from valm.ingest.text.documents import Document
from valm.ingest.text.web_parts import Params
from valm.ingest.text.web_text import WebText
from valm.ingest.text_sources import TextInputs, TextSource

LICENCE = "Common Crawl's terms of use; the texts belong to their authors"


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a document of the files that is kept."""
    assert isinstance(inputs.params, Params)
    text = WebText(inputs.params, inputs.work_folder, inputs.threads)
    yield from map(Document, text.documents())
    inputs.facts["licences"] = {"cc100": LICENCE}
    inputs.facts["files"] = text.files
    inputs.facts["counts"] = text.counts()


PLUGIN = TextSource(documents, params=Params, cleans_itself=True)
