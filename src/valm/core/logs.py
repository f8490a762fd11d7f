"""Logs: plain lines with a time on the terminal; the same and all tracebacks in the log file."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

logger = logging.getLogger("valm")

FORMAT = "%(asctime)s %(levelname)s %(message)s"


class _OneLine(logging.Formatter):
    """Leaves the traceback out: it goes to the log file."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{self.formatTime(record, '%H:%M:%S')} {record.getMessage()}"


def configure_logs(log_file: Path | None) -> None:
    """Send messages to standard error and, with tracebacks, to a file if one is named."""
    logger.handlers.clear()
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(_OneLine())
    terminal.setLevel(logging.INFO)  # tracebacks are logged below it
    logger.addHandler(terminal)
    if log_file is not None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        file = logging.FileHandler(log_file, encoding="utf-8")
        file.setFormatter(logging.Formatter(FORMAT))
        logger.addHandler(file)
