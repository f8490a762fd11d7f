"""``metrics.jsonl``: the history of a training, one JSON object a line, only ever appended to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from valm.core.atomic import write_text

HISTORY = "metrics.jsonl"


@dataclass(frozen=True)
class Line:
    """One line of the history.

    Attributes:
        step: Optimiser steps so far.
        tokens: Training tokens so far.
        loss: Mean training loss since the line before, in nats a token.
        valid_loss: Validation loss after this step, in nats a token; None: not measured here.
        learning_rate: Of this step.
        tokens_per_second: Since the line before, validation and checkpoints included.
        seconds: Since training began, without the time between a kill and going on.
        peak_memory_bytes: Largest resident size of the process so far.
    """

    step: int
    tokens: int
    loss: float
    valid_loss: float | None
    learning_rate: float
    tokens_per_second: float
    seconds: float
    peak_memory_bytes: int


def append_line(file: Path, line: Line) -> None:
    """Add a line at the end."""
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(asdict(line)) + "\n")


def read_lines(file: Path) -> Iterator[Line]:
    """The lines of a history up to the first that a kill has cut off."""
    if not file.is_file():
        return
    for text in file.read_text(encoding="utf-8").splitlines():
        try:
            yield Line(**json.loads(text))
        except (ValueError, TypeError):
            return


def go_on_after(step: int, earlier: Path, file: Path) -> None:
    """Begin a history with the lines of an earlier one (or its own) up to a step."""
    kept = [json.dumps(asdict(line)) + "\n" for line in read_lines(earlier) if line.step <= step]
    write_text(file, "".join(kept))
