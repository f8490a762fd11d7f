"""MPQA: phrases of news with an opinion (Wiebe et al. 2005), a sample that later work used.

Of its 2,000 phrases, 69 % are negative and one is empty; the paper's table calls the majority 50 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import SKEWED_ACCURACY
from valm.evaluate.questions.data_files import label_place, read_table
from valm.evaluate.questions.labelled_text_task import REVIEW_PROMPT, LabelledText, LabelledTextTask
from valm.ingest.probes import SENTIMENTS

TABLE = "mpqa"


class Mpqa(LabelledTextTask):
    """Is the opinion positive?"""

    licence = "none stated"
    choices = SENTIMENTS
    definitions = SKEWED_ACCURACY
    raw = (TABLE,)
    prompt = REVIEW_PROMPT

    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All phrases, the empty one too: a constant answer must score what was published."""
        rows = read_table(raw[TABLE], ("Label", "Text"), may_be_empty=("Text",))
        for number, row in enumerate(rows):
            answer = label_place(row.values["Label"].strip().lower(), SENTIMENTS, row.where)
            yield LabelledText(str(number), row.values["Text"], answer)


PLUGIN = Mpqa()
