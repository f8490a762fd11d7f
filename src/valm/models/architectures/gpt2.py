"""GPT-2 as Hugging Face lays it out: plain embeddings, GELU by tanh, OpenAI's initial values.

With learned positions it is their ``GPT2LMHeadModel``, and starts from the weights of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Generator, Tensor, nn
from torch.nn import functional

from valm.errors import InputError
from valm.models.architecture import HubSizes, PublishedArchitecture
from valm.models.initialise import draw

STANDARD_DEVIATION = 0.02
# What our trunk is, and a checkpoint may state otherwise; a key that it lacks has this value.
STATED = {
    "model_type": "gpt2",
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "tie_word_embeddings": True,
}
WHOLE = {"embedding": "wte", "positions": "wpe", "final_norm": "ln_f"}
OF_A_LAYER = {
    "attention_norm": "ln_1",
    "attention.query_key_value": "attn.c_attn",
    "attention.output": "attn.c_proj",
    "feed_forward_norm": "ln_2",
    "widen": "mlp.c_fc",
    "narrow": "mlp.c_proj",
}
# Their modules of the class Conv1D, whose weights are stored transposed.
TRANSPOSED = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
# The end of each branch that is added to the states.
BRANCH_ENDS = (".attention.output.weight", ".narrow.weight")
PREFIX = "transformer."  # of a checkpoint that was saved with its output layer


class Gpt2(PublishedArchitecture):
    """OpenAI's GPT-2."""

    def embedding_scale(self, width: int) -> float:
        """Embeddings are added to positions as they are."""
        return 1.0

    def activation(self, hidden: Tensor) -> Tensor:
        """GELU by its approximation with tanh, which transformers calls ``gelu_new``."""
        return functional.gelu(hidden, approximate="tanh")

    def draw(
        self, module: nn.Module, path: str, parameter: Tensor, layers: int, generator: Generator
    ) -> None:
        """Normal weights of deviation 0.02, less where many layers add up; biases of zero."""
        if not isinstance(module, nn.Linear | nn.Embedding):
            draw(module, path.rpartition(".")[2], parameter, generator)
        elif path.endswith(".bias"):
            parameter.zero_()
        else:
            share = (2 * layers) ** -0.5 if path.endswith(BRANCH_ENDS) else 1.0
            parameter.normal_(std=STANDARD_DEVIATION * share, generator=generator)

    def sizes_of(self, hub_config: Mapping[str, Any]) -> HubSizes:
        """Sizes under GPT-2's names."""
        for key, value in STATED.items():
            found = hub_config.get(key, value)
            if found != value:
                raise _unfit(f"its {key} is {found!r}, the architecture gpt2 has {value!r}")
        try:
            sizes = HubSizes(
                layers=int(hub_config["n_layer"]),
                width=int(hub_config["n_embd"]),
                heads=int(hub_config["n_head"]),
                context_tokens=int(hub_config["n_positions"]),
                vocabulary=int(hub_config["vocab_size"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise _unfit(f"config.json lacks a size: {error}") from error
        inner = hub_config.get("n_inner") or 4 * sizes.width
        if inner != 4 * sizes.width:
            raise _unfit(f"its n_inner is {inner}, four times its width is {4 * sizes.width}")
        return sizes

    def trunk_tensors(self, tensors: Mapping[str, Tensor], layers: int) -> dict[str, Tensor]:
        """Renamed, and maps turned to torch's layout; their masks and output layer are dropped."""
        names = WHOLE | {
            f"blocks.{layer}.{ours}": f"h.{layer}.{theirs}"
            for layer in range(layers)
            for ours, theirs in OF_A_LAYER.items()
        }
        found = {}
        for ours, theirs in names.items():
            for kind in ("weight",) if theirs in ("wte", "wpe") else ("weight", "bias"):
                tensor = _tensor(tensors, f"{theirs}.{kind}")
                turned = kind == "weight" and theirs.endswith(TRANSPOSED)
                found[f"{ours}.{kind}"] = tensor.t().contiguous() if turned else tensor
        return found


def _tensor(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    for full in (name, PREFIX + name):
        if full in tensors:
            return tensors[full]
    raise _unfit(f"it has no tensor {name!r}")


def _unfit(why: str) -> InputError:
    return InputError(
        f"the checkpoint is no GPT-2: {why}",
        cure="name a checkpoint of GPT-2's kind in models.trunk.init_from",
    )


PLUGIN = Gpt2()
