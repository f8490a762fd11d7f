"""What a training may go on from: only from what the same settings, code and data have made.

The work folder is named by the fingerprint of all that, so a changed key begins anew in another
folder. Who names a folder to go on from is told which key forbids it, and who changes a key is told
of the unfinished training that is left behind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from valm.core.logs import logger
from valm.core.work import JOB_NOTE
from valm.errors import ResumeError
from valm.train.checkpoint import CHECKPOINTS, checkpoints_of, newest_checkpoint, step_of

CHANGES_NAMED = 5
INPUT = "input "

Record = Mapping[str, Any]


def record_of(note: Mapping[str, Any]) -> Record:
    """All that a job depends on, by key, from its note: settings, choices, code, inputs."""
    choices = {f"--{name}": value for name, value in note["choices"].items()}
    code = {f"code {module}": digest for module, digest in note["modules"].items()}
    inputs = {INPUT + Path(path).name: digest for path, digest in note["parents"].items()}
    return dict(_flat(note["section"])) | choices | code | inputs


def record_in(folder: Path) -> Record:
    """The record of the job that a work folder is for.

    Raises:
        ResumeError: The note that the job leaves there is missing or damaged.
    """
    try:
        return record_of(json.loads((folder / JOB_NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ResumeError(
            f"nothing says what this training was: {JOB_NOTE} cannot be read",
            where=folder,
            cure="name the work folder of a training: work/train-model/<fingerprint>",
        ) from error


def changes(before: Record, now: Record) -> list[str]:
    """What differs, key by key, in words."""
    absent = "absent"
    return [
        f"{key} was {before.get(key, absent)}, is {now.get(key, absent)}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key, absent) != now.get(key, absent)
    ]


def tell_of_unfinished(work: Path, now: Record) -> None:
    """Say which unfinished training of this model and seed is not gone on from, and why."""
    for folder in sorted(work.parent.glob("*")):
        kept = checkpoints_of(folder / CHECKPOINTS)
        if folder == work or not kept or not (folder / JOB_NOTE).is_file():
            continue
        before = record_in(folder)
        if all(before.get(option) == now[option] for option in ("--model", "--seed")):
            logger.info(
                "an unfinished training of this model and seed, at step %s, is left in %s, because %s",
                step_of(kept[-1]), folder, "; ".join(changes(before, now)[:CHANGES_NAMED]),
            )  # fmt: skip


def checkpoint_to_go_on_from(work: Path, other: Path | None, now: Record) -> Path | None:
    """The newest whole checkpoint of a training, in its work folder or in another that is named.

    Each process of a training asks for itself, maybe before the leading one has written anything; so
    nothing is copied from the other folder, and all find the same.

    Raises:
        ResumeError: The other folder holds no whole checkpoint, or was made under other keys, code or
            inputs.
    """
    own = newest_checkpoint(work / CHECKPOINTS)
    if other is None:
        return own
    differing = changes(record_in(other), now)
    if differing:
        raise ResumeError(
            f"cannot go on, because {'; '.join(differing[:CHANGES_NAMED])}",
            where=other,
            cure="set it back, or leave --resume-from away to train anew",
        )
    theirs = newest_checkpoint(other / CHECKPOINTS)
    if theirs is None:
        raise ResumeError(
            "it holds no whole checkpoint", where=other, cure="leave --resume-from away"
        )
    return theirs if own is None or step_of(own) < step_of(theirs) else own


def _flat(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested plain data by dotted key; a list's entries by their place."""
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    elif isinstance(node, list | tuple):
        for place, value in enumerate(node):
            yield from _flat(value, f"{name}[{place}]")
    else:
        yield name, node
