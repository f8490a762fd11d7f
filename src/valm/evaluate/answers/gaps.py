"""A masked language model is asked for what stands in a gap, as BERT is among the baselines.

Behind each question stands one mask for each piece of an answer. Candidates are compared by the mean
pseudo-log-likelihood of their pieces, each masked while the others are read, and by their first
piece alone in one gap (SYSTEMS.md 7). Such a model predicts no text token by token, so no passage is
asked of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from valm.evaluate.answers.answering import ChoiceScores, Reader
from valm.evaluate.answers.reading import TOKENS_PER_BATCH
from valm.evaluate.questions.prepared import NO_TOKEN, Requests

Scores = NDArray[np.float32]


def gap_scores(reader: Reader, requests: Requests, context_tokens: int) -> ChoiceScores:
    """Log-probabilities of every question's candidates in its gap.

    Args:
        reader: A model that learnt with masks, with the pictures of the questions' tokens.
        context_tokens: A longer text loses its beginning.
    """
    mask = reader.model.vocabulary_size
    pieces = [row[row != NO_TOKEN].tolist() for row in requests.choices]
    starts = [ids[0] for ids in pieces]
    firsts = _log_probabilities(reader, requests, [mask], 0, starts, context_tokens)
    wholes = firsts.copy()
    for candidate, ids in enumerate(pieces):
        if len(ids) > 1:
            masked = [[*ids[:piece], mask, *ids[piece + 1 :]] for piece in range(len(ids))]
            wholes[:, candidate] = np.mean(
                [
                    _log_probabilities(reader, requests, answer, piece, [token], context_tokens)
                    for piece, (answer, token) in enumerate(zip(masked, ids, strict=True))
                ],
                axis=0,
            )[:, 0]
    return ChoiceScores(firsts=firsts, wholes=wholes)


@torch.inference_mode()
def _log_probabilities(
    reader: Reader,
    requests: Requests,
    answer: Sequence[int],
    asked: int,
    wanted: Sequence[int],
    context_tokens: int,
) -> Scores:
    """Of some tokens at one place of an answer that stands behind each question, [questions, wanted].

    The answer is shown the pictures of the question's last token.
    """
    model = reader.model
    found = np.empty((len(requests), len(wanted)), dtype=np.float32)
    lengths = np.minimum(requests.lengths()[: len(requests)], context_tokens - len(answer))
    for length in np.unique(lengths):
        same = np.flatnonzero(lengths == length)
        for batch in np.array_split(same, -(-same.size * int(length) // TOKENS_PER_BATCH)):
            places = requests.offsets[batch + 1][:, np.newaxis] - length + np.arange(length)
            behind = np.broadcast_to(np.array(answer), (len(batch), len(answer)))
            ids = torch.from_numpy(np.concatenate([requests.tokens[places], behind], axis=1))
            shown = np.concatenate([places, places[:, -1:].repeat(len(answer), axis=1)], axis=1)
            states = model.states(ids, reader.pictures(shown))[:, length + asked]
            logits = functional.linear(states, model.output_embedding)[:, : model.vocabulary_size]
            found[batch] = logits.float().log_softmax(dim=-1)[:, list(wanted)].numpy()
    return found
