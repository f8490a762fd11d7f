"""Nested state as a folder of two plain files: tensors in safetensors, all else in JSON.

What ``torch.save`` pickles (a Lightning checkpoint, an optimiser's state) is kept here without
running code on loading, and with a digest, so that a damaged folder is told from a whole one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from valm.core.atomic import atomic_directory, require_space
from valm.core.digest import digest_data, sha256_file
from valm.errors import IntegrityError

TENSORS, STATE = "tensors.safetensors", "state.json"
MARGIN_BYTES = 1 << 20  # the tensors' names and sizes, and what a file system keeps for itself
SYSTEM_ERROR = re.compile(r"os error (\d+)")
# How what JSON lacks is written: a tensor by its name, a mapping whose keys are no strings.
TENSOR_KEY, ITEMS_KEY = "$tensor", "$items"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Write mappings, sequences, numbers, strings and tensors, atomically; tuples become lists.

    Raises:
        TypeError: The state holds something else.
        SpaceError: The disk is full.
    """
    tensors: dict[str, Tensor] = {}
    plain = _without_tensors(state, tensors)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tensor_bytes = sum(tensor.nbytes for tensor in tensors.values())
    require_space(folder, tensor_bytes + len(json.dumps(plain)) + MARGIN_BYTES)
    with atomic_directory(folder) as part:
        _save_tensors(tensors, part / TENSORS)
        record = {
            "tensors_sha256": sha256_file(part / TENSORS),
            "state_digest": digest_data(plain),
            "state": plain,
        }
        (part / STATE).write_text(json.dumps(record), encoding="utf-8")


def load_state(folder: Path) -> dict[str, Any]:
    """Read what ``save_state`` wrote.

    Raises:
        IntegrityError: A file is missing, cut off or changed.
    """
    try:
        record = json.loads((folder / STATE).read_text(encoding="utf-8"))
        whole = record["tensors_sha256"] == sha256_file(folder / TENSORS)
        whole = whole and record["state_digest"] == digest_data(record["state"])
        if not whole:
            raise IntegrityError("its digest does not fit", where=folder)
        tensors = safetensors.torch.load_file(folder / TENSORS)
        state: dict[str, Any] = _with_tensors(record["state"], tensors)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise IntegrityError(f"saved state cannot be read: {error}", where=folder) from error
    return state


def _save_tensors(tensors: dict[str, Tensor], file: Path) -> None:
    """Write tensors; what the system refuses is an OSError, as of any other writer."""
    try:
        safetensors.torch.save_file(tensors, file)
    except SafetensorError as error:
        if number := SYSTEM_ERROR.search(str(error)):
            raise OSError(int(number[1]), str(error)) from error
        raise


def _without_tensors(node: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(node, Tensor):
        name = str(len(tensors))
        tensors[name] = node.detach().cpu().contiguous()
        return {TENSOR_KEY: name}
    if isinstance(node, Mapping):
        if all(isinstance(key, str) and not key.startswith("$") for key in node):
            return {key: _without_tensors(value, tensors) for key, value in node.items()}
        return {ITEMS_KEY: [[key, _without_tensors(value, tensors)] for key, value in node.items()]}
    if isinstance(node, list | tuple):
        return [_without_tensors(item, tensors) for item in node]
    if node is None or isinstance(node, bool | int | float | str):
        return node
    raise TypeError(f"{type(node).__name__} cannot be saved as plain data")


def _with_tensors(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(node, dict):
        if TENSOR_KEY in node:
            return tensors[node[TENSOR_KEY]]
        if ITEMS_KEY in node:
            return {key: _with_tensors(value, tensors) for key, value in node[ITEMS_KEY]}
        return {key: _with_tensors(value, tensors) for key, value in node.items()}
    if isinstance(node, list):
        return [_with_tensors(item, tensors) for item in node]
    return node
