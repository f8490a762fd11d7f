"""``make-encoder``: trains or takes over the encoder that a study names."""

from __future__ import annotations

from pathlib import Path

import torch

from valm.config.base import Plugin
from valm.core.atomic import write_json
from valm.core.job import Job
from valm.embed.encoder import ENCODERS, KIND, Sources, encoder_params


def make_encoder(
    job: Job, *, pictures: Path, tokens: Path, tokenizer: Path, features: Path | None, output: Path
) -> None:
    """Make the encoder and say in ``encoder.json`` and the manifest what it is.

    Args:
        pictures: Manifest of the picture list.
        tokens: Manifest of the token streams.
        tokenizer: Manifest of the tokenizer.
        features: Manifest of the picture features, for encoders that read them.
        output: ``encoder.manifest.json``; the encoder's files are written beside it.

    Raises:
        ConfigError: The encoder is not registered, or a parameter is wrong.
    """
    torch.set_num_threads(job.threads)
    chosen = job.settings("embed.encoder", Plugin)
    params = encoder_params(chosen.name, chosen.params)
    sources = Sources(pictures, tokens, tokenizer, features)
    files, made = ENCODERS.get(chosen.name).make(job, params, sources, output.parent)
    facts = {"encoder": chosen.name, "params": params.model_dump(mode="json")} | made
    summary = output.with_name("encoder.json")
    write_json(summary, facts)
    job.finish(
        output,
        kind=KIND,
        rows=int(made["parameters"]),
        files=[*files, summary],
        parents=[path for path in (pictures, tokens, tokenizer, features) if path is not None],
        facts=facts,
    )
