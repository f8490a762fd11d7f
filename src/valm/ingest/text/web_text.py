"""Web text of any size: its parts are made side by side, then joined without repeats.

What is kept of a part lies in the job's work folder, so that a killed run goes on with the parts that are
missing. Memory depends on the size of a part and the number of processes, never on the size of the text;
1 byte a document apart, which says whether it is a repeat.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from valm.core.digest import digest_data, sha256_file
from valm.core.progress import Tracker
from valm.core.side_by_side import side_by_side
from valm.errors import InputError
from valm.ingest.text.documents import read_documents
from valm.ingest.text.repeated_texts import repeated_documents
from valm.ingest.text.web_parts import SIGNED, TALLY, TEXT, Params, RawPart, make_part, raw_parts

PART_BYTES = 32 << 20


class WebText:
    """One web text under some parameters.

    Args:
        params: Which files, and what is kept of them.
        work: The job's work folder.
        threads: Processes that make parts.
    """

    def __init__(self, params: Params, work: Path, threads: int):
        self._params, self._threads = params, threads
        self._folder = work / digest_data([self.files, params.model_dump(mode="json")])
        self._folder.mkdir(exist_ok=True)
        self._parts = 0
        self._repeats: dict[str, int] = {}

    @cached_property
    def files(self) -> list[dict[str, Any]]:
        """Name, size and sha256 of each file: the frozen input.

        Raises:
            InputError: One is missing.
        """
        for file in self._params.files:
            if not file.is_file():
                raise InputError("a text file is missing", where=file, cure="put it there")
        return [
            {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256_file(file)}
            for file in self._params.files
        ]

    def documents(self) -> Iterator[str]:
        """Make the parts that are missing, then yield the documents of all, in order.

        Raises:
            InputError: A file is damaged, or more of a part than the parameters allow.
        """
        self._make_parts()
        signed = [self._folder / f"{number}.{SIGNED}" for number in range(self._parts)]
        exact, near = repeated_documents(signed if self._params.duplicates != "none" else [])
        self._repeats = {"exact": int(exact.sum()), "near": int(near.sum())}
        repeated = exact | near
        place = 0
        for number in range(self._parts):
            for document in read_documents(self._folder / f"{number}.{TEXT}"):
                if not len(repeated) or not repeated[place]:
                    yield document
                place += 1

    def counts(self) -> dict[str, Any]:
        """What became of all documents (or blocks of lines) that were read, after ``documents``.

        Returns:
            ``read`` is the sum of ``not_sampled``, ``kept`` and all of ``damaged``, ``left_out`` and
            ``repeats``.
        """
        plain: Counter[str] = Counter()
        by_reason: dict[str, Counter[str]] = {
            name: Counter() for name in ("damaged", "left_out", "languages")
        }
        for number in range(self._parts):
            path = self._folder / f"{number}.{TALLY}"
            facts = json.loads(path.read_text(encoding="utf-8"))
            del facts["first_damaged"]
            for name, counter in by_reason.items():
                counter.update(facts.pop(name))
            plain.update(facts)
        repeats = {kind: count for kind, count in self._repeats.items() if count}
        return {
            "read": plain["read"],
            "not_sampled": plain["not_sampled"],
            "kept": plain["kept"] - sum(repeats.values()),
            "repeats": repeats,
            **{name: dict(sorted(counter.items())) for name, counter in by_reason.items()},
        }

    def _make_parts(self) -> None:
        make = partial(make_part, params=self._params, folder=self._folder)
        with Tracker("cleaning web text", None, "parts") as tracker:
            for _ in side_by_side(make, self._missing(tracker), self._threads):
                pass

    def _missing(self, tracker: Tracker) -> Iterator[RawPart]:
        """The parts that no earlier run has made."""
        for raw in raw_parts(self._params.files, self._params.by_lines, PART_BYTES):
            self._parts = raw.number + 1
            if not (self._folder / f"{raw.number}.{TALLY}").is_file():
                yield raw
            tracker.advance()
