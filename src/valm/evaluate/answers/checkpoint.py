"""Published models as transformers runs them, with their vocabulary; no code of theirs."""

from __future__ import annotations

from typing import Any

import transformers
from safetensors import SafetensorError

from valm.core.hub import Published, first_line
from valm.errors import InputError

transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


class Checkpoint(Published):
    """A published model that is loaded by a class of transformers."""

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
            raise self._unfit(family, first_line(error)) from error
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
                f"the checkpoint has no tokenizer: {first_line(error)}",
                where=self.where,
                cure="put the tokenizer's files beside the weights",
            ) from error

    def _unfit(self, family: type[Any], why: str) -> InputError:
        return InputError(
            f"cannot be loaded as {family.__name__}: {why}",
            where=self.where,
            cure="name a checkpoint of this kind, or another kind",
        )
