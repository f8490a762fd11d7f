"""WikiText-103's test text, paragraph by paragraph as the official evaluation takes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.definitions import Decode, Passage, TextTask
from valm.evaluate.perplexity_task import PERPLEXITY
from valm.ingest.tokens import TokenStream

FILE = "wikitext103_test"
PARAGRAPHS = 400  # of 2,891, the first


class WikiText103(TextTask):
    """Perplexity of encyclopedia text."""

    licence = "CC BY-SA 3.0"
    definitions = PERPLEXITY
    raw = (FILE,)

    def passages(
        self, raw: Mapping[str, Path], test: TokenStream, decode: Decode
    ) -> Iterator[Passage]:
        """The first paragraphs and headings that are not empty."""
        lines = (line.strip() for line in raw[FILE].read_text(encoding="utf-8").splitlines())
        for number, line in enumerate([line for line in lines if line][:PARAGRAPHS]):
            yield Passage(str(number), line)


PLUGIN = WikiText103()
