"""SST-2: sentences of film reviews, the 872 of the development set (Socher et al. 2013)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.evaluate.questions.accuracy_task import ACCURACY
from valm.evaluate.questions.data_files import label_place, read_table
from valm.evaluate.questions.labelled_text_task import REVIEW_PROMPT, LabelledText, LabelledTextTask
from valm.ingest.probes import SENTIMENTS

TABLE = "sst2"


class Sst2(LabelledTextTask):
    """Does the critic like the film?"""

    licence = "none stated for the sentences (the repository that hosts them: MIT)"
    choices = SENTIMENTS
    definitions = ACCURACY
    raw = (TABLE,)
    prompt = REVIEW_PROMPT

    def texts(self, raw: Mapping[str, Path]) -> Iterator[LabelledText]:
        """All sentences; label 0 is negative."""
        for number, row in enumerate(read_table(raw[TABLE], ("label", "sentence"))):
            answer = label_place(row.values["label"], ("0", "1"), row.where)
            yield LabelledText(str(number), row.values["sentence"], answer)


PLUGIN = Sst2()
