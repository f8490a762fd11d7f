"""Checkpoints of others: a folder, or an id of the Hugging Face hub; safetensors, no code of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import huggingface_hub
import transformers
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError

from valm.core.digest import sha256_file, sha256_text
from valm.errors import InputError, IntegrityError, SourceError

transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]

# Weights as safetensors, and what describes them and their vocabulary; never a pickle, never code.
WANTED = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model")


@dataclass(frozen=True)
class Checkpoint:
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
        folder = Path(self.name)
        if not folder.is_dir():
            folder = self._fetched()
        if not list(folder.glob("*.safetensors")):
            raise InputError(
                "the checkpoint has no weights in safetensors",
                where=self._where,
                cure="name a revision that has (on the hub often refs/pr/N), or convert them:"
                " pickled weights are never loaded",
            )
        found = digest_of_weights(folder)
        if self.sha256 not in (None, found):
            raise IntegrityError(
                f"the weights' sha256 is {found}, expected {self.sha256}", where=self._where
            )
        return folder

    def model(self, family: type[Any]) -> Any:
        """The model, in evaluation mode and float32.

        Args:
            family: A class of transformers with ``from_pretrained``.

        Raises:
            InputError: The files are no model of that family, or lack some of its weights.
        """
        try:
            model, report = family.from_pretrained(
                self.folder,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
                dtype="float32",
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise self._unfit(family, _first_line(error)) from error
        missing = sorted(report["missing_keys"])
        if missing:
            raise self._unfit(family, f"{len(missing)} weights are missing, {missing[0]} first")
        return model.eval()

    def tokenizer(self) -> Any:
        """The tokenizer of the same folder; texts that are too long lose their beginning."""
        try:
            return transformers.AutoTokenizer.from_pretrained(
                self.folder, trust_remote_code=False, truncation_side="left"
            )
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"the checkpoint has no tokenizer: {_first_line(error)}",
                where=self._where,
                cure="put the tokenizer's files beside the weights",
            ) from error

    @property
    def _where(self) -> str:
        return self.name if self.revision is None else f"{self.name} at {self.revision}"

    def _fetched(self) -> Path:
        try:
            found = huggingface_hub.snapshot_download(
                self.name, revision=self.revision, allow_patterns=list(WANTED)
            )
        except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
            raise SourceError(
                f"the checkpoint is no folder and cannot be had from the hub: {_first_line(error)}",
                where=self._where,
                cure="check the name; HF_HUB_OFFLINE=0 lets it be downloaded; or name a folder",
            ) from error
        return Path(found)

    def _unfit(self, family: type[Any], why: str) -> InputError:
        return InputError(
            f"cannot be loaded as {family.__name__}: {why}",
            where=self._where,
            cure="name a checkpoint of this kind, or another kind",
        )


def digest_of_weights(folder: Path) -> str:
    """sha256 of a folder's weights: of the one file, or of the digests of several."""
    digests = [sha256_file(path) for path in sorted(folder.glob("*.safetensors"))]
    return digests[0] if len(digests) == 1 else sha256_text(" ".join(digests))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(".")
