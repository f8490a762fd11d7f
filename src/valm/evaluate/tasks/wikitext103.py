"""WikiText-103's test text: paragraphs scored alone as published, and whole articles.

The published evaluation detokenises the text and scores every paragraph and heading by itself, in
tokens, but for the one line that is longer than a context (VALM.md 6.7). Here the same paragraphs give the legacy metric; the corrected one slides
through whole articles and counts the words of the original, so that vocabularies can be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from valm.evaluate.questions.data_files import drawn_order, read_lines
from valm.evaluate.questions.definitions import Decode, Passage, TextTask
from valm.evaluate.questions.perplexity_task import LINE_PERPLEXITY, WORD_PERPLEXITY
from valm.ingest.text.detokenise import wikitext_line
from valm.ingest.text.tokens import TokenStream

FILE = "wikitext103_test"
PARAGRAPHS = "paragraphs"
TITLE = re.compile(r"= [^=]+ =")


class WikiText103(TextTask):
    """Perplexity of encyclopedia text; statistics are over articles."""

    licence = "CC BY-SA 3.0"
    definitions = (
        replace(LINE_PERPLEXITY, part=PARAGRAPHS),
        replace(WORD_PERPLEXITY, text=f"Whole articles. {WORD_PERPLEXITY.text}"),
    )
    raw = (FILE,)
    sample = 12  # of 60 articles: about 45,000 words

    def passages(
        self, raw: Mapping[str, Path], test: TokenStream, decode: Decode
    ) -> Iterator[Passage]:
        """Each article as a whole, then its headings and paragraphs."""
        articles: list[list[str]] = []
        for _, line in read_lines(raw[FILE]):
            if TITLE.fullmatch(line.strip()) or not articles:
                articles.append([])
            articles[-1].append(line.strip())
        for place in drawn_order([article[0] for article in articles], FILE):
            item, words = str(place), sum(len(line.split()) for line in articles[place])
            paragraphs = [wikitext_line(line) for line in articles[place]]
            yield Passage(item, "\n".join(paragraphs), words=words)
            for paragraph in paragraphs:
                yield Passage(item, paragraph, PARAGRAPHS)


PLUGIN = WikiText103()
