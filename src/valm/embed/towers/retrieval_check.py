"""How well token states retrieve, measured on sentences that the towers were not trained on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from valm.embed.batches import batches
from valm.embed.encoder import Encoder
from valm.embed.towers.networks import TextTower
from valm.embed.towers.sentences import Sentence
from valm.embed.towers.windows import Sentences

TOP = 4
LONGEST_AGE = 4  # tokens after the end of a mention
SENTENCES_PER_BATCH = 64
SAMPLED_SENTENCES = 2000  # for the statistics of text states


def precision_after_mentions(
    encoder: Encoder,
    keys: Float[Tensor, "pictures width"],
    sentences: Sentences,
) -> dict[str, float]:
    """Share of the 4 nearest pictures that show what was named, by tokens since the name ended.

    Only whole names count: what a keyword means is not certain. Where a name has fewer than 4
    pictures, these are what can be found.
    """
    whole = set(sentences.whole_names)
    hits: dict[int, list[float]] = {age: [] for age in range(LONGEST_AGE + 1)}
    for batch in batches(sentences.held_out, SENTENCES_PER_BATCH):
        cut = [sentence.until(encoder.context_tokens) for sentence in batch]
        states = encoder.encode_tokens(_padded(cut)).keys
        for row, sentence in enumerate(cut):
            for age, found in hits.items():
                for place in np.flatnonzero(sentence.ages == age):
                    mention = int(sentence.mentions[place])
                    if mention in whole:
                        members = sentences.members[mention]
                        near = (keys @ states[row, place]).topk(min(TOP, len(keys))).indices
                        right = np.isin(near.numpy(), members).sum()
                        found.append(right / min(TOP, len(members)))
    return {str(age): round(float(np.mean(found)), 4) for age, found in hits.items() if found}


def states_of(tower: TextTower, sentences: Sentences) -> Float[Tensor, "states width"]:
    """States at all positions of some training sentences, for their mean and deviation."""
    states = []
    for batch in batches(sentences.documents[:SAMPLED_SENTENCES], SENTENCES_PER_BATCH):
        cut = [sentence.until(tower.context_tokens) for sentence in batch]
        keys, _ = tower(_padded(cut))
        states += [keys[row, : len(sentence)] for row, sentence in enumerate(cut)]
    return torch.cat(states)


def _padded(sentences: Iterable[Sentence]) -> Tensor:
    rows = [torch.from_numpy(sentence.ids) for sentence in sentences]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
