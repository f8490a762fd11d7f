"""Published models: a folder, or an id of the Hugging Face hub; safetensors, no code of theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from valm.core.digest import sha256_file, sha256_text
from valm.errors import InputError, IntegrityError, SourceError

# Weights as safetensors, and what describes them and their vocabulary; never a pickle, never code.
WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model")
LARGEST_JSON = 64 << 20  # bytes


@dataclass(frozen=True)
class Published:
    """Where a model's files are.

    Attributes:
        name: A folder, or an id of the hub.
        revision: Commit, tag or branch of a hub id; None: its main branch.
        sha256: Of the weights, as ``digest_of_weights`` takes it; None: not checked.
    """

    name: str
    revision: str | None = None
    sha256: str | None = None

    @cached_property
    def folder(self) -> Path:
        """Where the files lie, fetched from the hub if need be.

        Raises:
            SourceError: The hub cannot be reached, or holds no such checkpoint.
            InputError: There are no weights in safetensors.
            IntegrityError: The weights are others than those stated.
        """
        folder = hub_folder(self.name, self.revision)
        if not list(folder.glob("*.safetensors")):
            raise InputError(
                "the checkpoint has no weights in safetensors",
                where=self.where,
                cure="name a revision that has (on the hub often refs/pr/N), or convert them:"
                " pickled weights are never loaded",
            )
        found = digest_of_weights(folder)
        if self.sha256 not in (None, found):
            raise IntegrityError(
                f"the weights' sha256 is {found}, expected {self.sha256}", where=self.where
            )
        return folder

    @property
    def where(self) -> str:
        """Name and revision, for messages."""
        return self.name if self.revision is None else f"{self.name} at {self.revision}"


def hub_folder(name: str, revision: str | None, wanted: Sequence[str] = WANTED) -> Path:
    """The folder of that name, or that of a hub id's files, fetched if need be.

    Args:
        wanted: Patterns of the files that are fetched.

    Raises:
        SourceError: The hub cannot be reached, or holds no such checkpoint.
    """
    if Path(name).is_dir():
        return Path(name)
    try:
        found = huggingface_hub.snapshot_download(
            name, revision=revision, allow_patterns=list(wanted)
        )
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise SourceError(
            f"the checkpoint is no folder and cannot be had from the hub: {first_line(error)}",
            where=name if revision is None else f"{name} at {revision}",
            cure="check the name; HF_HUB_OFFLINE=0 lets it be downloaded; or name a folder",
        ) from error
    return Path(found)


def digest_of_weights(folder: Path) -> str:
    """sha256 of a folder's weights: of the one file, or of the digests of several."""
    digests = [sha256_file(path) for path in sorted(folder.glob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else sha256_text(" ".join(digests))


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a checkpoint.

    Raises:
        InputError: It is missing, too large, or no JSON object.
    """
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise InputError(f"larger than {LARGEST_JSON:,} bytes", where=path)
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read it: {first_line(error)}", where=path) from error
    if not isinstance(found, dict):
        raise InputError("no JSON object", where=path)
    return found


def first_line(error: Exception) -> str:
    """What others' errors say first, without a full stop."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
