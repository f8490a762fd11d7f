"""The study's colour, shape and size probes as data sets of lm-evaluation-harness.

The task files beside this module name these functions; with this package installed, they run on any
model of the harness: ``lm_eval --include_path FOLDER --tasks valm_colour``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datasets import Dataset

from valm.evaluate.questions.definitions import TASKS, ChoiceTask


def colour(**_: Any) -> dict[str, Dataset]:
    """Colours of everyday things, the test half, nine questions each."""
    return _test_split("colour", [""])


def shape(**_: Any) -> dict[str, Dataset]:
    """Shapes of everyday things."""
    return _test_split("shape", [""])


def size(**_: Any) -> dict[str, Dataset]:
    """Which of two things is larger, in both orders: a constant answer scores 50 %."""
    return _test_split("size", ["larger_first", "smaller_first"])


def _test_split(task: str, parts: list[str]) -> dict[str, Dataset]:
    return {"test": Dataset.from_list(list(_rows(task, parts)))}


def _rows(task: str, parts: list[str]) -> Iterator[dict[str, Any]]:
    plugin = TASKS.get(task)
    assert isinstance(plugin, ChoiceTask)
    for question in plugin.questions({}):
        if question.answer >= 0 and question.part in parts:
            yield {
                "question": question.text,
                "choices": list(plugin.choices),
                "gold": question.answer,
                "item": question.item,
            }
