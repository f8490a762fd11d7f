"""The texts of a task as its data have them, before they become tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from valm.evaluate.questions.definitions import ChoiceTask, Task, TextTask
from valm.ingest.text.tokens import TokenStream

NO_STREAM = TokenStream(
    np.zeros(0, np.uint16),
    np.zeros(1, np.int64),
    np.zeros(0, np.uint8),
    [],
    np.zeros((2, 0), np.int64),
)


def has_own_texts(task: Task) -> bool:
    """Whether a task's texts come from elsewhere than the study's own test split."""
    return isinstance(task, ChoiceTask) or bool(task.raw)


def task_texts(task: Task, raw: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """Item and text of everything that a task asks, whole.

    Raises:
        InputError: A raw file is malformed.
    """
    if isinstance(task, ChoiceTask):
        yield from ((question.item, question.text) for question in task.questions(raw))
    elif isinstance(task, TextTask):
        passages = task.passages(raw, NO_STREAM, lambda ids: "")
        yield from ((passage.item, passage.text) for passage in passages)
