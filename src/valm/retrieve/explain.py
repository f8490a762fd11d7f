"""``show-pictures``: what a prompt retrieves, token by token, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from valm.config.retrieve import Preset, Query
from valm.core.atomic import write_json
from valm.core.job import Job
from valm.embed.encoder import Encoder, load_encoder
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import look_up


def retrieved_pictures(
    prompts: Sequence[str],
    tokenizer: Tokenizer,
    encoder: Encoder,
    searcher: Searcher,
    query: Query,
    top_k: int,
) -> list[dict[str, Any]]:
    """The pictures of every token of some prompts, as the language model gets them.

    Returns:
        For each prompt ``prompt``, ``tokens`` (their texts), ``ids`` (K a token, best first, -1 where
        nothing was found) and ``scores`` (of the search, 4 decimals); plain data.
    """
    texts = [tokenizer.encode(prompt) for prompt in prompts]
    return [
        {
            "prompt": prompt,
            "tokens": [tokenizer.token_text(token) for token in text],
            "ids": found.ids.tolist(),
            "scores": np.round(found.scores.astype(np.float64), 4).tolist(),
        }
        for prompt, text, found in zip(
            prompts, texts, look_up(texts, encoder, searcher, query, top_k), strict=True
        )
    ]


def show_pictures(
    job: Job,
    *,
    prompts: Sequence[str],
    tokenizer: Path,
    encoder: Path,
    vectors: Path,
    index: Path,
    output: Path,
) -> None:
    """Write ``prompts.json``: what ``retrieved_pictures`` returns.

    Args:
        prompts: Texts; none: the configuration's ``report.prompts``.
        tokenizer: Manifest of the tokenizer.
        encoder: Manifest of the encoder.
        vectors: Manifest of the picture vectors.
        index: Manifest of the index that is searched.
        output: ``prompts.manifest.json``.

    Raises:
        ConfigError: A query window is longer than the encoder can read.
    """
    preset = job.value("retrieve.presets", list[Preset])[0]  # all of them, if none was chosen
    shown = retrieved_pictures(
        prompts or job.value("report.prompts", list[str]),
        load_tokenizer(tokenizer),
        load_encoder(encoder),
        Searcher(vectors, index),
        preset.query,
        job.value("retrieve.top_k", int),
    )
    file = output.with_name("prompts.json")
    write_json(file, shown)
    parents = [tokenizer, encoder, vectors, index]
    job.finish(output, kind="prompt_pictures", rows=len(shown), files=[file], parents=parents)
