"""The captions of the kept pictures: names with keywords, or whatever alt text there is."""

from __future__ import annotations

from collections.abc import Iterator

from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a kept picture that has a caption; renderings of one thing share theirs."""
    pictures = read_picture_list(inputs.picture_list)
    kept = pictures["kept"].to_pylist()
    for caption, wanted in zip(pictures["caption"].to_pylist(), kept, strict=True):
        if wanted and caption:
            yield Document(caption)


PLUGIN = TextSource(documents, needs_pictures=True)
