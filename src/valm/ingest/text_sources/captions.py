"""The captions of the kept pictures: names with keywords, or whatever alt text there is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.text.came_with import folded
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a kept picture that has a caption; renderings of one thing share theirs.

    A caption came with every picture that has it among its own; with one that was dropped came the one
    that it repeats.
    """
    columns = ["id", "duplicate_of", "caption", "captions"]
    rows = read_picture_list(inputs.picture_list).select(columns).to_pylist()
    pictures: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        for caption in row["captions"]:
            pictures[folded(caption)].add(max(row["id"], row["duplicate_of"]))
    for row in rows:
        if row["id"] >= 0 and row["caption"]:
            came_with = {row["id"]} | pictures[folded(row["caption"])]
            yield Document(row["caption"], pictures=tuple(sorted(came_with)))


PLUGIN = TextSource(documents, needs_pictures=True, pictured=True)
