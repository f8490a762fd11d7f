"""A checkpoint of fairseq, read as tensors and plain settings: nothing in it is run.

fairseq saves a pickle inside a zip archive. Only torch's restricted reader opens it, which builds
tensors, containers and numbers and refuses the name of anything else; ``argparse.Namespace``, in which
fairseq keeps a model's settings, is let in as the bag of values that it is.
"""

from __future__ import annotations

import pickle
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from valm.errors import InputError

# The official model with its optimiser's state has 1.5 GB.
MAXIMUM_BYTES = 32 << 30
MAXIMUM_PICKLE_BYTES = 64 << 20
MODEL, SETTINGS = "model", ("cfg", "args")
CURE = "name a checkpoint_*.pt that fairseq's trainer saved, with torch 1.6 or later"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds of use.

    Attributes:
        tensors: The model's, by fairseq's names; in the types and memory of the file.
        settings: Every setting of the model and its task whose value is plain, by its name.
        others: Names of the parts that are neither: the optimiser's state, the trainer's.
    """

    tensors: Mapping[str, Tensor]
    settings: Mapping[str, bool | int | float | str]
    others: tuple[str, ...]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, memory-mapped.

    Raises:
        InputError: It is missing, too large, damaged, no such file, or names code.
    """
    _check_archive(path)
    try:
        with torch.serialization.safe_globals([Namespace]):
            data = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"the checkpoint holds more than tensors and plain settings, and is not run: "
            f"{_named_code(path) or str(error).splitlines()[0]}",
            where=path,
            cure="save it again where it comes from, with its 'model' and 'cfg' alone",
        ) from error
    except (RuntimeError, ValueError, EOFError, KeyError, TypeError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"damaged: {reason}", where=path, cure=CURE) from error
    if not isinstance(data, dict) or not isinstance(data.get(MODEL), dict):
        raise InputError("no checkpoint of fairseq: it has no 'model'", where=path, cure=CURE)
    others = tuple(str(name) for name in data if name != MODEL and name not in SETTINGS)
    settings = dict(pair for name in SETTINGS for pair in _plain(data.get(name)))
    return Checkpoint(_checked(data[MODEL], path), settings, others)


def _check_archive(path: Path) -> None:
    """A zip archive as torch writes it, whose members are stored as they are: no bomb."""
    if not path.is_file():
        raise InputError("the checkpoint is missing", where=path, cure=CURE)
    size = path.stat().st_size
    if size > MAXIMUM_BYTES:
        raise InputError(f"{size:,} bytes are more than a checkpoint has", where=path, cure=CURE)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(
            f"no archive of torch's, such as fairseq saves: {error}", where=path, cure=CURE
        ) from error
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > size:
        raise InputError("its members are compressed, as torch's never are", where=path, cure=CURE)
    for member in members:
        if member.filename.endswith(".pkl") and member.file_size > MAXIMUM_PICKLE_BYTES:
            raise InputError(f"{member.filename} is too large", where=path, cure=CURE)


def _named_code(path: Path) -> str:
    """The names that the restricted reader does not let in, read without acting on them."""
    try:
        with torch.serialization.safe_globals([Namespace]):
            names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (pickle.UnpicklingError, RuntimeError, ValueError):
        return ""
    return ", ".join(sorted(names))


def _plain(node: Any) -> Iterator[tuple[str, bool | int | float | str]]:
    """The plain values of nested settings by their last name; the model's win, which come last."""
    entries = vars(node) if isinstance(node, Namespace) else node
    if not isinstance(entries, dict):
        return
    for name, value in sorted(entries.items(), key=lambda entry: entry[0] == MODEL):
        if isinstance(value, bool | int | float | str):
            yield str(name), value
        else:
            yield from _plain(value)


def _checked(model: Mapping[Any, Any], path: Path) -> dict[str, Tensor]:
    """The tensors, if each is a plain one that the file really holds."""
    total = 0
    for name, value in model.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(f"'model' holds {name!r}, which is no tensor", where=path, cure=CURE)
        plain = value.layout == torch.strided and not value.is_quantized and value.is_contiguous()
        if not plain or value.device.type != "cpu":
            raise InputError(f"the tensor {name!r} is not stored as it is", where=path, cure=CURE)
        total += value.numel() * value.element_size()
    # Tied embeddings are two names of one memory; a few bytes that claim to be a model are not.
    if total > 2 * path.stat().st_size:
        raise InputError("its tensors are larger than the file", where=path, cure=CURE)
    return dict(model)
