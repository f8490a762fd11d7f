"""The harness's model class: any of its tasks runs on a model of the study, pictures included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from lm_eval.api.model import TemplateLM

from valm.core.progress import track
from valm.errors import InputError
from valm.evaluate.answers.continuations import Likelihood, Span, likelihoods
from valm.evaluate.answers.reading import read
from valm.evaluate.answers.rows import Text
from valm.harness.seeing import SeeingModel

TEXTS_AT_ONCE = 256  # whose pictures are in memory together
NEW_TOKENS = 64  # where a task states no number


class ValmLM(TemplateLM):
    """Likelihoods, perplexities and greedy continuations by ``SeeingModel``.

    Args:
        model: The model.
    """

    def __init__(self, model: SeeingModel):
        super().__init__()
        self.model = model

    @property
    def eot_token_id(self) -> int:
        """What ends a text, and stands before the first word of one."""
        return self.model.words.end_of_text

    @property
    def max_length(self) -> int:
        """The longest input."""
        return self.model.context_tokens

    @property
    def tokenizer_name(self) -> str:
        """For the harness's records."""
        return "valm"

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: Any
    ) -> list[int]:
        """Tokens of a text; nothing is put around it."""
        return self.model.words.encode(string)

    def _loglikelihood_tokens(
        self,
        requests: Sequence[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        **kwargs: Any,
    ) -> list[tuple[float, bool]]:
        """Of each continuation behind its context; what is too long loses its beginning."""
        texts = [([*before, *after], len(after)) for _, before, after in requests]
        found: list[Likelihood | None] = [None] * len(texts)
        # In the order of the texts, so that those which begin alike are looked up together.
        order = sorted(range(len(texts)), key=lambda number: texts[number][0])
        parts = [order[n : n + TEXTS_AT_ONCE] for n in range(0, len(order), TEXTS_AT_ONCE)]
        for part in track(parts, "likelihoods", len(parts), "batches"):
            scored = self._scored([texts[number] for number in part])
            for number, likelihood in zip(part, scored, strict=True):
                found[number] = likelihood
        return [(one.log_probability, one.is_greedy) for one in found if one is not None]

    def _scored(self, texts: Sequence[tuple[list[int], int]]) -> list[Likelihood]:
        """Of the last so many tokens of each text."""
        reads = list(dict.fromkeys(tuple(ids[:-1]) for ids, _ in texts))
        offsets = np.cumsum([0, *map(len, reads)])
        ends = {read: int(end) for read, end in zip(reads, offsets[1:], strict=True)}
        spans = []
        for ids, count in texts:
            read = tuple(ids[:-1])
            length = min(len(read), self.max_length)
            if count > length:
                raise InputError(
                    f"a continuation of {count} tokens is longer than what the model reads",
                    cure=f"leave the task out: this model's context is {self.max_length} tokens",
                )
            wanted = tuple(ids[len(ids) - count :])
            spans.append(Span(ends[read] - length, length, wanted))
        return self._likelihoods(reads, spans)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = False) -> list[float]:
        """Of whole texts, cut as the harness cuts them: the last window reaches back."""
        found = []
        for request in track(requests, "texts", len(requests), "texts"):
            ids = [self.eot_token_id, *self.tok_encode(request.args[0])]
            spans = rolling(ids, self.max_length)
            scored = self._likelihoods([ids[:1], ids[1:]], spans)
            found.append(sum(one.log_probability for one in scored))
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, found[-1])
        return found

    def _likelihoods(
        self, documents: Sequence[Sequence[int]], spans: Sequence[Span]
    ) -> list[Likelihood]:
        tokens = np.fromiter((t for ids in documents for t in ids), np.int64)
        return likelihoods(self.model.reader(documents), tokens, spans)

    def generate_until(self, requests: Any, disable_tqdm: bool = False) -> list[str]:
        """The most likely continuation of each context, up to a stop sequence.

        Raises:
            InputError: A task asks for samples.
        """
        found = []
        for request in track(requests, "continuations", len(requests), "texts"):
            context, settings = request.args
            if settings.get("do_sample") or settings.get("temperature", 0) > 0:
                raise InputError("a task asks for sampled text", cure="this model answers greedily")
            stops = settings.get("until") or []
            stops = [stops] if isinstance(stops, str) else stops
            count = int(settings.get("max_gen_toks", NEW_TOKENS))
            found.append(self._continued(context, stops, count))
            self.cache_hook.add_partial("generate_until", request.args, found[-1])
        return found

    @torch.inference_mode()
    def _continued(self, context: str, stops: Sequence[str], count: int) -> str:
        start = self.tok_encode(context) or [self.eot_token_id]
        ids, text = list(start), ""
        for _ in range(count):
            reader = self.model.reader([ids])
            length = min(len(ids), self.max_length)
            ((_, scores),) = read(reader, np.array(ids), [Text(len(ids) - length, length)])
            token = int(scores.argmax())
            if token == self.eot_token_id:
                break
            ids.append(token)
            text = "".join(map(self.model.words.token_text, ids[len(start) :]))
            if stop := next((stop for stop in stops if stop and stop in text), None):
                return text[: text.index(stop)]
        return text


def rolling(ids: Sequence[int], context: int) -> list[Span]:
    """Windows in which each token but the first is predicted once.

    All are full but that of a short text: the last one reads again what the one before it has read.
    """
    spans = []
    done, total = 0, len(ids) - 1
    while done < total:
        new = min(context, total - done)
        end = done + new
        length = min(context, end)
        spans.append(Span(end - length, length, tuple(ids[done + 1 : end + 1])))
        done = end
    return spans
