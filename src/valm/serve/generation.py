"""A text goes on: token by token, each with the pictures that are retrieved for it.

What a model has read is kept as keys and values. Where a longer text changes what earlier tokens are
given (the official queries, which look ahead; controls that draw for a whole text), the model goes
back to the first token with other pictures and reads again from there. So the tokens are those of
reading the whole text at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from valm.errors import InputError
from valm.models.pictures import Pictures
from valm.models.sampling import Sampling
from valm.retrieve.given import Given, give
from valm.retrieve.neighbours import Neighbours
from valm.serve.open_study import OpenStudy, Voice


@dataclass(frozen=True)
class Generated:
    """A text and what was seen in it.

    Attributes:
        tokens: Of the prompt and of what follows; of these R were read, all but the last one drawn.
        prompt_tokens: How many are the prompt's.
        given: What the read tokens were given when the last one was drawn.
        found: What was retrieved for them.
        weights: Attention of each read token to its pictures, mean over heads, float32 [R, K]; None
            if no layer reads pictures.
        read_again: How often a token was read again because its pictures had changed.
    """

    tokens: list[int]
    prompt_tokens: int
    given: Given
    found: Neighbours
    weights: NDArray[np.float32] | None
    read_again: int


@torch.inference_mode()
def generate(
    study: OpenStudy, voice: Voice, prompt: str, count: int, sampling: Sampling, seed: int = 0
) -> Generated:
    """Let a model go on with a prompt, to the end of the text or for so many tokens.

    Args:
        voice: The model, with what it is given to look at.
        count: Tokens that follow, at most.
        sampling: How they are drawn.
        seed: Of what is drawn at random.

    Raises:
        InputError: The model gives no next tokens, the prompt has none, or the text would not fit the
            model's context.
    """
    network, values, tokens = voice.network, study.values, study.tokenizer.encode(prompt)
    _check(voice, len(tokens), count)
    generator = torch.Generator().manual_seed(seed)
    text, cache = study.growing_text(), network.empty_cache()
    before: Given | None = None
    read_again, prompt_tokens = 0, len(tokens)
    for _ in range(count):
        found = text.pictures(tokens)
        ids = found.ids[:, : voice.top_k]
        now = give(voice.control, ids, found.values, study.showable, study.seed)
        kept = 0 if before is None else _given_alike(before, now)
        read_again += cache.tokens - kept
        cache, before = cache.first(kept), now
        unread = torch.tensor([tokens[kept:]])
        logits = network(unread, _pictures(now, values, kept), cache)[0, -1]
        tokens.append(sampling.draw(logits.float(), generator))
        if tokens[-1] == study.tokenizer.end_of_text:
            break
    weights = _weights(voice, tokens[:-1], _pictures(now, values, 0))
    return Generated(tokens, prompt_tokens, now, found, weights, read_again)


def _check(voice: Voice, prompt: int, count: int) -> None:
    network, longest = voice.network, voice.network.trunk.config.context_tokens
    if not network.objective.causal:
        raise InputError(
            f"{voice.model} learnt {network.objective_name}, which gives no next token",
            cure="name a model with the objective causal_lm or prefix_lm",
        )
    if prompt == 0:
        raise InputError("the prompt has no token", cure="give one of at least one word")
    # The last token that is drawn is not read.
    if prompt + count > longest + 1:
        raise InputError(
            f"a prompt of {prompt} tokens and {count} more do not fit the context of {voice.model},"
            f" {longest} tokens",
            cure=f"ask for at most {max(0, longest + 1 - prompt)} tokens, or shorten the prompt",
        )


def _given_alike(before: Given, now: Given) -> int:
    """How many tokens of a text are given what they were given before."""
    read = len(before.mask)
    alike = (before.mask == now.mask[:read]).all(axis=1)
    for old, new in ((before.ids, now.ids), (before.values, now.values)):
        if old is not None and new is not None:
            alike &= (old == new[:read]).reshape(read, -1).all(axis=1)
    return int(np.argmin(np.append(alike, False)))


def _pictures(given: Given, values: NDArray[np.float16], first: int) -> Pictures | None:
    """What the tokens from one on are given, as the model takes it."""
    if given.ids is not None:
        vectors = values[given.ids[first:]]
    elif given.values is not None:
        vectors = given.values[first:]
    else:
        return None
    mask = torch.tensor(given.mask[np.newaxis, first:])
    return Pictures(mask, vectors=torch.tensor(vectors[np.newaxis], dtype=torch.float32))


def _weights(
    voice: Voice, tokens: Sequence[int], pictures: Pictures | None
) -> NDArray[np.float32] | None:
    network = voice.network
    if pictures is None or not network.fused_layers:
        return None
    ids = torch.tensor([list(tokens)])
    seen = network.attention(network.fused_layers[-1], ids, pictures).pictures
    weights: NDArray[np.float32] = seen[0].mean(dim=0).float().numpy()
    return weights
