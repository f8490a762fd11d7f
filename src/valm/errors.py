"""The errors a user can meet: what happened, where, and the cure; an exit code by kind."""

from __future__ import annotations

from pathlib import Path


class ValmError(Exception):
    """An error with one line for the user; the traceback goes to the log.

    Args:
        what: What happened, as a sentence without a full stop.
        where: The file, key path or offset it happened at.
        cure: What the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | Path | None = None, cure: str | None = None):
        self.what, self.where, self.cure = what, where, cure
        place = f" [{where}]" if where is not None else ""
        remedy = f" -> {cure}" if cure else ""
        super().__init__(f"{what}{place}{remedy}")


class ConfigError(ValmError):
    """A key or value of the configuration cannot be used."""

    exit_code = 2


class InputError(ValmError):
    """A raw input is malformed: a truncated tar, a wrong schema, an impossible picture."""

    exit_code = 3


class IntegrityError(ValmError):
    """Bytes differ from the sha256 that a manifest or the sources lock states."""

    exit_code = 4


class ResumeError(ValmError):
    """Saved state cannot be continued from, because what it was made from has changed."""

    exit_code = 4


class BusyError(ValmError):
    """Another process holds the same work directory."""

    exit_code = 5


class SpaceError(ValmError):
    """The disk or the memory is too small for the next write."""

    exit_code = 6


class SourceError(ValmError):
    """A raw source or an outside tool is missing or cannot be reached."""

    exit_code = 7
