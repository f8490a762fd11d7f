"""What Snakemake would run, read from its dry run: the shell commands are our own verbs'."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from valm.cli.sharing import asked_for
from valm.config.study import read_settings
from valm.core.manifest import read_manifest
from valm.core.shared import Asked, Entry, offered
from valm.errors import ConfigError

# A job of a dry run: its number and message, why it runs, and its command.
JOB = re.compile(r"^Job \d+: (.*)\nReason: (.*)\nShell command: (.*)$", re.M)
SUFFIX = ".manifest.json"


@dataclass(frozen=True)
class PlannedJob:
    """One job that would run.

    Attributes:
        message: What it does, in the words of its rule.
        reason: Why it runs, in Snakemake's words.
        verb: The verb of its command.
        options: The values of each option of its command, by name without dashes.
    """

    message: str
    reason: str
    verb: str
    options: dict[str, list[str]]

    @property
    def rule(self) -> str:
        """Its rule, which is named after its verb."""
        return self.verb.replace("-", "_")

    @property
    def output(self) -> Path:
        """Its manifest, which lies beside an executed notebook."""
        output = Path(self.options["output"][0])
        return output if output.name.endswith(SUFFIX) else output.with_suffix(SUFFIX)

    @property
    def inputs(self) -> list[Path]:
        """The manifests that it takes."""
        values = [
            value for name, found in self.options.items() if name != "output" for value in found
        ]
        return [Path(value) for value in values if value.endswith(SUFFIX)]

    @property
    def section(self) -> dict[str, Any]:
        """The nodes of the configuration that it would be handed."""
        nodes: dict[str, Any] = json.loads(self.options["section"][0])
        return nodes

    @property
    def code(self) -> str:
        """The fingerprint of the code behind it."""
        return self.options["code"][0]

    def asked(self, digest_of: Callable[[Path], str | None] | None = None) -> Asked | None:
        """The job as other studies may have done it already; None if it is done in any case."""
        return asked_for(self.verb, self.options, digest_of)

    @property
    def log(self) -> Path:
        """Its log file, ``logs/<study>/<rule>/<what>.log``, of which no two jobs have the same."""
        return Path(self.options["log"][0])


def planned_jobs(arguments: Sequence[str]) -> list[PlannedJob]:
    """The jobs that ``snakemake <arguments>`` would run, each after those that it waits for.

    Raises:
        ConfigError: A file of settings is missing or damaged, Snakemake refuses the configuration, or does
            not know the target.
    """
    for file in _settings_files(arguments):
        read_settings(file)  # of which Snakemake would say less, in a traceback
    command = [sys.executable, "-m", "snakemake", "--cores", "all", *arguments]
    run = subprocess.run(
        [*command, "--dry-run", "--printshellcmds", "--nocolor"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
        check=False, env=os.environ | {"COLUMNS": "1000"},
    )  # fmt: skip
    if run.returncode:
        said = [line for line in run.stdout.splitlines() if line.strip()]
        ours = [line.removeprefix("error: ") for line in said if line.startswith("error: ")]
        # Of a traceback, as of a file of settings that is not there, the last line says what it is.
        its_own = said[-1:] if any("Traceback" in line for line in said) else said[-3:]
        raise ConfigError(
            f"Snakemake cannot plan this: {ours[0] if ours else ' '.join(its_own)}",
            cure=None if ours else f"see what it says: snakemake --dry-run {shlex.join(arguments)}",
        )
    return parse_jobs(run.stdout)


def _settings_files(arguments: Sequence[str]) -> Iterator[Path]:
    """What Snakemake takes for files of settings: all words between ``--configfile`` and the next option.

    Raises:
        ConfigError: One of them looks like a target.
    """
    inside = False
    for word in arguments:
        if word.startswith("-"):
            inside = word in ("--configfile", "--configfiles")
        elif inside:
            if not Path(word).suffix:
                cure = "a target stands before --configfile, or behind `--`"
                raise ConfigError(f"{word!r} is no file of settings", where=word, cure=cure)
            yield Path(word)


def to_be_taken(jobs: Sequence[PlannedJob]) -> dict[Path, Entry]:
    """The results that would be taken from other studies, if their files are whole.

    Args:
        jobs: What would run, each after those that it waits for.
    """
    digests: dict[Path, str | None] = dict.fromkeys(job.output for job in jobs)
    taken = {}
    for job in jobs:
        asked = job.asked(
            lambda path: digests[path] if path in digests else read_manifest(path).digest
        )
        found = next(offered(asked), None) if asked else None
        if asked and found:
            if not asked.always_done:
                taken[job.output] = found[0]
            digests[job.output] = found[0].digest
    return taken


def parse_jobs(output: str) -> list[PlannedJob]:
    """The jobs that a dry run with ``--printshellcmds`` has printed."""
    jobs = []
    for message, reason, command in JOB.findall(output):
        options: dict[str, list[str]] = {}
        words = shlex.split(command)
        for name, value in pairwise(words):
            if name.startswith("--") and not value.startswith("--"):
                options.setdefault(name.removeprefix("--"), []).append(value)
        jobs.append(PlannedJob(message, reason, words[words.index("valm") + 1], options))
    return jobs
