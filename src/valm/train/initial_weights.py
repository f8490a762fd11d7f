"""Published weights that a model starts from, in place of drawn ones."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from valm.config.models import InitFrom
from valm.core.hub import Published, first_line, read_object
from valm.errors import ConfigError, InputError
from valm.models.architecture import HubSizes, PublishedArchitecture
from valm.models.language_model import LanguageModel


def start_from(model: LanguageModel, source: InitFrom) -> None:
    """Put a checkpoint's weights into a model's trunk; what the trunk alone has not stays as it is.

    A shorter context takes the first positions; a mask's entry stays as it was drawn.

    Raises:
        SourceError: The checkpoint cannot be had.
        InputError: It is of another kind, or malformed.
        IntegrityError: Its weights are others than those stated.
        ConfigError: Its sizes are not the model's.
    """
    architecture, trunk = model.trunk.architecture, model.trunk.config
    if not isinstance(architecture, PublishedArchitecture):
        raise ConfigError(
            f"a trunk of the architecture {trunk.architecture!r} starts from no checkpoint",
            where="models.trunk.init_from",
            cure="set models.trunk.architecture to gpt2, or init_from to null",
        )
    folder = Published(source.checkpoint, source.revision, source.sha256).folder
    sizes = architecture.sizes_of(read_object(folder / "config.json"))
    _check_sizes(model, sizes, source)
    found = architecture.trunk_tensors(_tensors(folder), trunk.layers)
    parameters = dict(model.trunk.named_parameters())
    for name, tensor in found.items():
        ours = parameters[name]
        # Of the embeddings: of tokens we may have more rows (a mask), of positions fewer.
        rows = min(len(ours), len(tensor))
        exact = name in ("embedding.weight", "positions.weight")
        if tensor.shape[1:] != ours.shape[1:] or not (exact or len(ours) == len(tensor)):
            raise InputError(
                f"{name} has the shape {tuple(tensor.shape)}, the model's is {tuple(ours.shape)}",
                where=source.checkpoint,
                cure="its weights do not fit its own config.json: fetch the checkpoint again",
            )
        with torch.no_grad():
            ours[:rows] = tensor[:rows].to(ours.dtype)


def _check_sizes(model: LanguageModel, theirs: HubSizes, source: InitFrom) -> None:
    trunk = model.trunk.config
    ours = {
        "layers": trunk.layers,
        "width": trunk.width,
        "heads": trunk.heads,
        "vocabulary": model.vocabulary_size,
    }
    differ = [name for name, size in ours.items() if getattr(theirs, name) != size]
    if trunk.context_tokens > theirs.context_tokens:
        differ, ours = [*differ, "context_tokens"], ours | {"context_tokens": trunk.context_tokens}
    if differ:
        sides = "; ".join(
            f"{name}: {getattr(theirs, name):,}, ours {ours[name]:,}" for name in differ
        )
        raise ConfigError(
            f"the checkpoint's sizes are not the model's: {sides}",
            where=f"models.trunk.init_from, {source.checkpoint}",
            cure="set models.trunk to its sizes, and ingest.tokenizer to its vocabulary (kind: hub)",
        )


def _tensors(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            found |= safetensors.torch.load_file(path)
        except (OSError, ValueError, SafetensorError) as error:
            raise InputError(f"no safetensors file: {first_line(error)}", where=path) from error
    return found
