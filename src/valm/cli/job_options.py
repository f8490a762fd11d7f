"""The options that every verb shares, and the job they describe."""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from valm.cli.plugin_modules import plugin_modules
from valm.cli.sharing import asked_for, given_options
from valm.config.study import load_study
from valm.config.verbs import ASIDE, aside_for, section_for, verb_named
from valm.core.digest import digest_data
from valm.core.fingerprint import module_digests
from valm.core.job import Job
from valm.core.logs import configure_logs
from valm.core.manifest import read_manifest
from valm.core.shared import made_once
from valm.errors import ConfigError

ConfigFiles = Annotated[
    list[Path],
    typer.Option("--config", help="Configuration files, the later merged over the earlier."),
]
Log = Annotated[Path | None, typer.Option(help="File that keeps messages and tracebacks.")]

DEFAULT_CONFIG = [Path("config.yaml")]


@dataclass(frozen=True)
class JobOptions:
    """What the command line was given for a verb, beside the verb's own options."""

    verb: str
    section: str
    config: list[Path]
    code: str
    threads: int
    log: Path | None

    def open_job(self, encoder: Path | None = None, **choices: str | int) -> Job:
        """Make the job that the options describe, and set its threads and logs.

        Args:
            encoder: Manifest of the encoder, if the verb reads through one.
            choices: What the verb was asked to work on (a split, a model, a seed).

        Raises:
            ConfigError: The section is not JSON, or the configuration is wrong.
        """
        configure_logs(self.log)
        for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
            os.environ[variable] = str(self.threads)
        nodes, aside = self._read_nodes(choices)
        kind = read_manifest(encoder, "encoder").facts["encoder"] if encoder else None
        plugins = plugin_modules(self.verb, nodes, choices, kind)
        modules = module_digests([verb_named(self.verb).module, *plugins])
        code = self.code or digest_data(modules)
        return Job(self.verb, nodes, code, choices, self.threads, modules, aside)

    def _read_nodes(self, choices: dict[str, str | int]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The verb's section, and the keys that it reads aside: handed over, or of the files."""
        if not self.section:
            study = load_study(self.config)
            return section_for(study, self.verb, **choices), aside_for(study, self.verb)
        try:
            return json.loads(self.section), json.loads(os.environ.get(ASIDE, "{}"))
        except json.JSONDecodeError as error:
            raise ConfigError(f"--section or {ASIDE} is not JSON: {error}") from error


def numbered_part(part: str) -> tuple[int, int]:
    """``i/n``, the i-th of n parts, counted from 1, as two numbers.

    Raises:
        ConfigError: It is none.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", part)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise ConfigError(
            f"{part!r} is no part", where="--part", cure="write 2/4 for the second of 4"
        )
    return int(match[1]), int(match[2])


def add_verb(app: typer.Typer, function: Callable[..., None]) -> None:
    """Add a verb under its function's name, with the options that every verb shares.

    What another study has made by the same job is taken from it.

    Args:
        function: Takes JobOptions, then the verb's own options as typer understands them.
    """
    verb = function.__name__.replace("_", "-")

    def shared(
        section: Annotated[
            str, typer.Option(help="The verb's config section as JSON; empty: taken from --config.")
        ] = "",
        config: ConfigFiles = DEFAULT_CONFIG,
        code: Annotated[str, typer.Option(help="Code fingerprint; empty: computed.")] = "",
        threads: Annotated[int, typer.Option(help="Threads the job may use.")] = 1,
        log: Log = None,
    ) -> JobOptions:
        return JobOptions(verb, section, config, code, threads, log)

    def command(**given: Any) -> None:
        asked = asked_for(verb, given_options(given))
        options = shared(**{name: given.pop(name) for name in common.parameters})
        if asked is None:
            function(options, **given)
        else:
            configure_logs(options.log)
            made_once(asked, lambda: function(options, **given))

    common = inspect.signature(shared, eval_str=True)
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    parameters = [p.replace(kind=p.KEYWORD_ONLY) for p in (*own, *common.parameters.values())]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app.command(verb, help=inspect.getdoc(function))(command)
