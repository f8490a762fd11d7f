"""The study's own test documents: how well is text predicted that nobody trained on?

"perplexity" leaves the colour notes out; they have a metric of their own, since pictures can tell
what they say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from valm.errors import InputError
from valm.evaluate.questions.definitions import Decode, Passage, TextTask
from valm.evaluate.questions.perplexity_task import PERPLEXITY
from valm.ingest.text.tokens import TokenStream

NOTES = "colour_notes"


class HeldOutText(TextTask):
    """Documents of the test split in the stream's (shuffled) order."""

    licence = "as the sources of the training text"
    definitions = (
        *PERPLEXITY,
        *(
            replace(each, metric="perplexity_colour_notes", part=NOTES, text=f"Notes. {each.text}")
            for each in PERPLEXITY
        ),
    )
    sample = 1200

    def passages(
        self, raw: Mapping[str, Path], test: TokenStream, decode: Decode
    ) -> Iterator[Passage]:
        """One passage a document that is not empty.

        Raises:
            InputError: There is no test text.
        """
        if not len(test.tokens):
            raise InputError(
                "there is no test text to score", cure="raise ingest.text.split.test_fraction"
            )
        for number in range(len(test.sources)):
            start, end = test.documents[number], test.documents[number + 1] - 1
            if start == end:
                continue  # a blank line, which is a document under ingest.text.documents: lines
            text = decode(np.asarray(test.tokens[start:end]).tolist())
            source = test.source_names[test.sources[number]]
            _, pictures = test.pictures_at(np.array([start]))
            part = NOTES if source == NOTES else ""
            yield Passage(str(number), text, part, pictures=tuple(pictures.tolist()))


PLUGIN = HeldOutText()
