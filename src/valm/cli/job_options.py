"""The options that every verb shares, and the job they describe."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from valm.cli.plugin_modules import plugin_modules
from valm.config.study import load_study
from valm.config.verbs import ASIDE, aside_for, section_for, verb_named
from valm.core.digest import digest_data
from valm.core.fingerprint import module_digests
from valm.core.job import Job
from valm.core.logs import configure_logs
from valm.core.manifest import read_manifest
from valm.errors import ConfigError

Section = Annotated[
    str, typer.Option(help="The verb's config section as JSON; empty: taken from --config.")
]
ConfigFiles = Annotated[
    list[Path],
    typer.Option("--config", help="Configuration files, the later merged over the earlier."),
]
Code = Annotated[str, typer.Option(help="Code fingerprint; empty: computed.")]
Threads = Annotated[int, typer.Option(help="Threads the job may use.")]
Log = Annotated[Path | None, typer.Option(help="File that keeps messages and tracebacks.")]

DEFAULT_CONFIG = [Path("config.yaml")]


def open_job(
    verb: str,
    *,
    section: str,
    config: list[Path],
    code: str,
    threads: int,
    log: Path | None,
    encoder: Path | None = None,
    **choices: str | int,
) -> Job:
    """Make the job that a verb's options describe, and set its threads and logs.

    Args:
        encoder: Manifest of the encoder, if the verb reads through one.
        choices: What the verb was asked to work on (a split, a model, a seed).
    """
    configure_logs(log)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[variable] = str(threads)
    nodes: dict[str, Any]
    if section:
        try:
            nodes, aside = json.loads(section), json.loads(os.environ.get(ASIDE, "{}"))
        except json.JSONDecodeError as error:
            raise ConfigError(f"--section or {ASIDE} is not JSON: {error}") from error
    else:
        study = load_study(config)
        nodes, aside = section_for(study, verb, **choices), aside_for(study, verb)
    kind = read_manifest(encoder, "encoder").facts["encoder"] if encoder else None
    plugins = plugin_modules(verb, nodes, choices, kind)
    modules = module_digests([verb_named(verb).module, *plugins])
    return Job(verb, nodes, code or digest_data(modules), choices, threads, modules, aside)
