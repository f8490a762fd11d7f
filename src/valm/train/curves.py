"""The history as others show it: TensorBoard and CSV always, a tracking service if it is asked for.

They lie with the logs, not with the results: they hold names and times of this machine. What counts
is ``metrics.jsonl``, from which a resumed run begins them again.
"""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from valm.errors import ConfigError
from valm.train.metrics import Line

TABLE, EVENTS = "metrics.csv", "events.out.tfevents.*"
PROJECT = "valm"


class Sink(Protocol):
    """Something that shows a history."""

    def add(self, line: Line) -> None:
        """Show one more line."""

    def close(self) -> None:
        """Write what is not written yet."""


class Table:
    """``metrics.csv``, a row a line."""

    def __init__(self, folder: Path):
        self._file = (folder / TABLE).open("w", encoding="utf-8", newline="")
        self._rows = csv.DictWriter(self._file, [field.name for field in fields(Line)])
        self._rows.writeheader()

    def add(self, line: Line) -> None:
        """Write a row."""
        self._rows.writerow(asdict(line))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class TensorBoard:
    """Event files: ``tensorboard --logdir logs/small/train_model`` shows all models."""

    def __init__(self, folder: Path):
        from torch.utils.tensorboard import SummaryWriter

        for earlier in folder.glob(EVENTS):
            earlier.unlink()
        self._writer: Any = SummaryWriter(str(folder), flush_secs=30)

    def add(self, line: Line) -> None:
        """Write its numbers at its step."""
        for name, value in _numbers(line).items():
            self._writer.add_scalar(name, value, line.step)

    def close(self) -> None:
        """Write what is not written yet."""
        self._writer.close()


class Tracking:
    """A run at a tracking service whose package speaks Weights & Biases' interface.

    Args:
        service: "wandb" or "trackio".
        run: The run's name.
        facts: Settings that the service shows beside it.

    Raises:
        ConfigError: Its package is not installed.
    """

    def __init__(self, service: str, run: str, facts: Mapping[str, Any]):
        try:
            self._service: Any = importlib.import_module(service)
        except ImportError as error:
            raise ConfigError(
                f"the package {service!r} is not installed",
                where="train.tracking",
                cure=f"pip install {service}, or set train.tracking to none",
            ) from error
        self._service.init(project=PROJECT, name=run, config=dict(facts))

    def add(self, line: Line) -> None:
        """Send its numbers."""
        self._service.log(_numbers(line), step=line.step)

    def close(self) -> None:
        """End the run."""
        self._service.finish()


class Curves:
    """All that shows the history of one training, as a context manager.

    Args:
        sinks: What shows it.
        history: Lines up to where the training goes on from.
    """

    def __init__(self, sinks: Iterable[Sink], history: Iterable[Line] = ()):
        self._sinks = list(sinks)
        for line in history:
            self.add(line)

    def add(self, line: Line) -> None:
        """Show one more line."""
        for sink in self._sinks:
            sink.add(line)

    def __enter__(self) -> Curves:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sink in self._sinks:
            sink.close()


def open_curves(
    folder: Path | None, service: str, run: str, facts: Mapping[str, Any], history: Iterable[Line]
) -> Curves:
    """The curves of one training.

    Args:
        folder: Where the files lie; None for a process that shows nothing.
        service: The tracking service, or "none".
        run: What is trained, in words.
        facts: Settings that the service shows.
        history: Lines up to where the training goes on from.

    Raises:
        ConfigError: The service's package is not installed.
    """
    if folder is None:
        return Curves([])
    sinks: list[Sink] = [] if service == "none" else [Tracking(service, run, facts)]
    folder.mkdir(parents=True, exist_ok=True)
    return Curves([*sinks, Table(folder), TensorBoard(folder)], history)


def _numbers(line: Line) -> dict[str, float]:
    return {
        name: value for name, value in asdict(line).items() if name != "step" and value is not None
    }
