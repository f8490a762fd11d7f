"""What a change reaches, over every key of the schema and many modules.

Which jobs there are, what they are handed and what they take, one dry run of the tiny study says; what
a change does to that is computed. ``test_tiny_study.py`` asks Snakemake itself about some of the rows.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from builders.checkout import ROOT, copy_repository
from builders.reruns import KEYS, MODULES, REPORT

from valm.cli.dry_run import PlannedJob, parse_jobs
from valm.cli.plugin_modules import plugin_modules
from valm.config.document import all_keys
from valm.config.study import Study, merge, parse_study
from valm.config.verbs import section_for, verb_named
from valm.core.fingerprint import modules_behind

FILES = [ROOT / "config.yaml", ROOT / "config/studies/tiny.yaml"]
TINY = merge(*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES))
CHOICES = ("source", "index", "preset", "split", "model", "seed", "task")


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedJob]:
    """All jobs of the tiny study."""
    checkout = copy_repository(tmp_path_factory.mktemp("scope"))
    dry = checkout.snakemake("--dry-run", "--printshellcmds")
    assert dry.returncode == 0, dry.stdout[-3000:]
    return parse_jobs(dry.stdout)


def choices(job: PlannedJob) -> dict[str, str]:
    chosen = {name: job.options[name][0] for name in CHOICES if name in job.options}
    if job.rule == "run_notebook":
        chosen["chapter"] = Path(job.options["output"][0]).stem.partition("_")[2]
    return chosen


def reached(jobs: list[PlannedJob], changed: Callable[[PlannedJob], bool]) -> set[str]:
    """The rules of the jobs that are changed and of all that take what they make."""
    again: list[PlannedJob] = []
    for job in jobs:  # each stands after those whose results it takes
        made = {earlier.output for earlier in again}
        if changed(job) or made.intersection(job.inputs):
            again.append(job)
    rules = {job.rule for job in again}
    # The report takes everything, and its commands name folders, not manifests.
    return rules | REPORT if rules - {"write_report"} else rules


def handed_otherwise(study: Study) -> Callable[[PlannedJob], bool]:
    """Whether a job of the tiny study would be handed another section by this one."""
    return lambda job: section_for(study, job.verb, **choices(job)) != job.section


def with_value(path: str, value: object) -> Study:
    for key in reversed(path.split(".")):
        value = {key: value}
    return parse_study(merge(TINY, value))  # type: ignore[arg-type]


def test_the_table_has_every_key() -> None:
    assert set(KEYS) == {path for path, _, _ in all_keys()}


@pytest.mark.parametrize("key", [key for key, change in KEYS.items() if not change.other_jobs])
def test_a_key_reaches_what_reads_it(jobs: list[PlannedJob], key: str) -> None:
    change = KEYS[key]
    study = with_value(change.at or key, change.value)
    assert study != parse_study(TINY), "the value is the one that the tiny study has"
    assert reached(jobs, handed_otherwise(study)) == change.rules


@pytest.mark.parametrize("module", MODULES)
def test_a_module_reaches_what_imports_it(jobs: list[PlannedJob], module: str) -> None:
    assert (ROOT / "src" / Path(*module.split(".")).with_suffix(".py")).is_file()
    study = parse_study(TINY)

    def imports_it(job: PlannedJob) -> bool:
        plugins = plugin_modules(job.verb, job.section, choices(job), study.embed.encoder.name)
        roots = [verb_named(job.verb).module, *plugins]
        return any(module in modules_behind(root) for root in roots)

    assert reached(jobs, imports_it) == MODULES[module]
