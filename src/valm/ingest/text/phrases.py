"""Phrases of 13 words, by which training text and evaluation sets are compared.

Thirteen words in a row are the usual measure (Brown et al., 2020, appendix C). Words are runs of letters
in lower case and single digits, whatever stands between them, so that a text and its tokens have the same.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from valm.core.atomic import write_array
from valm.core.job import Job
from valm.core.manifest import read_manifest

KIND = "phrases"
WORDS_PER_PHRASE = 13
WORD = re.compile(r"[^\W\d_]+|\d")
FACTOR = np.uint64(0x9E3779B97F4A7C15)  # odd, so that no bit of a word is lost


def phrase_hashes(text: str) -> NDArray[np.uint64]:
    """A number for each 13 words in a row of a text, [max(0, words - 12)]."""
    words = WORD.findall(text.lower())
    if len(words) < WORDS_PER_PHRASE:
        return np.zeros(0, np.uint64)
    spelled = [word.encode("utf-8", "surrogatepass") for word in words]
    numbers = np.array([zlib.crc32(w) | zlib.adler32(w) << 32 for w in spelled], np.uint64)
    numbers = (numbers ^ numbers >> np.uint64(29)) * FACTOR
    count = len(words) - WORDS_PER_PHRASE + 1
    hashes = np.zeros(count, np.uint64)
    for place in range(WORDS_PER_PHRASE):
        hashes = hashes * FACTOR + numbers[place : place + count]
    return hashes ^ hashes >> np.uint64(31)


def list_phrases(
    job: Job,
    *,
    task: str,
    texts: Iterable[tuple[str, str]],
    reason: str | None,
    raw: Sequence[Path],
    output: Path,
) -> None:
    """Write the phrases of an evaluation set, sorted, each with a number of its item.

    Args:
        task: Name of the task.
        texts: Item and text of everything that it asks.
        reason: Why its data cannot be had, if they cannot.
        raw: Manifests of its raw files.
        output: ``<task>.manifest.json``.
    """
    items: dict[str, int] = {}
    hashes, owners = [np.zeros(0, np.uint64)], [np.zeros(0, np.int32)]
    for item, text in texts:
        found = phrase_hashes(text)
        hashes.append(found)
        owners.append(np.full(len(found), items.setdefault(item, len(items)), np.int32))
    every, owner = np.concatenate(hashes), np.concatenate(owners)
    order = np.argsort(every, kind="stable")
    files = [output.with_name(f"{task}.{part}.npy") for part in ("hashes", "items")]
    write_array(files[0], every[order])
    write_array(files[1], owner[order])
    facts = {"task": task, "items": len(items), "reason": reason}
    job.finish(output, kind=KIND, rows=len(every), files=files, parents=raw, facts=facts)


@dataclass(frozen=True)
class TaskPhrases:
    """The phrases of one evaluation set.

    Attributes:
        task: Its name.
        items: Its number of items.
        hashes: Sorted numbers of its phrases, uint64 [phrases].
        owners: The item of each, int32 [phrases].
    """

    task: str
    items: int
    hashes: NDArray[np.uint64]
    owners: NDArray[np.int32]

    @classmethod
    def open(cls, manifest: Path) -> TaskPhrases:
        """Open what ``list-phrases`` wrote."""
        facts = read_manifest(manifest, KIND).facts
        arrays = [
            np.load(manifest.with_name(f"{facts['task']}.{part}.npy"), allow_pickle=False)
            for part in ("hashes", "items")
        ]
        return cls(facts["task"], facts["items"], arrays[0], arrays[1])

    def shared(self, hashes: NDArray[np.uint64]) -> NDArray[np.intp]:
        """Places among the phrases of those that some text has too."""
        low = np.searchsorted(self.hashes, hashes, "left")
        high = np.searchsorted(self.hashes, hashes, "right")
        found = [np.arange(a, b) for a, b in zip(low, high, strict=True) if b > a]
        return np.concatenate(found) if found else np.zeros(0, np.intp)


def known_phrases(hashes: NDArray[np.uint64], phrases: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Those of a text's numbers that are among some phrases (sorted numbers, which may be many)."""
    places = np.searchsorted(phrases, hashes)
    inside = np.flatnonzero(places < len(phrases))
    found: NDArray[np.uint64] = hashes[inside[phrases[places[inside]] == hashes[inside]]]
    return found


def shares_a_phrase(text: str, phrases: NDArray[np.uint64]) -> bool:
    """Whether a text has one of some phrases (sorted numbers)."""
    return len(known_phrases(phrase_hashes(text), phrases)) > 0


def all_phrases(manifests: Sequence[Path]) -> NDArray[np.uint64]:
    """The phrases of several evaluation sets, sorted."""
    found = [TaskPhrases.open(manifest).hashes for manifest in manifests]
    return np.unique(np.concatenate([np.zeros(0, np.uint64), *found]))
