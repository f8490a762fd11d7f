"""What every verb is handed: options that all share, a section, keys that change no result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from valm.cli.job_options import JobOptions, add_verb
from valm.cli.main import app
from valm.config.study import Study
from valm.config.train import Train
from valm.config.verbs import ASIDE, VERBS, section_for
from valm.core.job import Job
from valm.errors import ConfigError

SHARED = {"section", "config", "code", "threads", "log"}
TRAINED = {"model": "valm", "seed": "3"}


def test_every_verb_is_a_command_with_the_shared_options_and_its_own() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert VERBS.keys() <= commands.keys()
    for verb in VERBS:
        names = [parameter.name for parameter in commands[verb].params]
        assert len(set(names)) == len(names)
        assert names[-len(SHARED) :] == ["section", "config", "code", "threads", "log"]
        assert "output" in names and "options" not in names
        assert commands[verb].help.endswith(".")


def opened(*arguments: str) -> Job:
    """The job that ``train-model`` is given for some arguments."""
    jobs: list[Job] = []

    def train_model(
        options: JobOptions,
        model: Annotated[str, typer.Option()],
        seed: Annotated[int, typer.Option()] = 1,
    ) -> None:
        jobs.append(options.open_job(model=model, seed=seed))

    alone = typer.Typer()
    add_verb(alone, train_model)
    words = [word for name, value in TRAINED.items() for word in (f"--{name}", value)]
    CliRunner().invoke(alone, [*words, *arguments], catch_exceptions=False)
    return jobs[0]


@pytest.fixture
def study(tmp_path: Path) -> str:
    file = tmp_path / "study.yaml"
    file.write_text("train: {steps: 7, checkpoint_every_steps: 3, tracking: wandb}\n", "utf-8")
    return str(file)


def test_a_verb_by_hand_reads_the_files(study: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ASIDE, json.dumps({"train.tracking": "trackio"}))  # of a workflow around it
    job = opened("--config", study, "--threads", "2")
    assert (job.verb, job.threads, job.choices) == ("train-model", 2, {"model": "valm", "seed": 3})
    settings = job.settings("train", Train)
    assert (settings.steps, settings.checkpoint_every_steps, settings.tracking) == (7, 3, "wandb")
    assert job.code == opened("--config", study).code
    assert opened("--config", study, "--code", "c0de").code == "c0de"


def test_a_rule_hands_over_a_section_and_what_changes_no_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    section = section_for(Study(), "train-model", model="valm")
    assert not {"tracking", "checkpoint_every_steps", "seeds"} & section["train"].keys()
    plain = opened("--section", json.dumps(section))
    assert plain.settings("train", Train).tracking == "none"
    monkeypatch.setenv(ASIDE, json.dumps({"train.tracking": "trackio"}))
    watched = opened("--section", json.dumps(section))
    assert watched.settings("train", Train).tracking == "trackio"
    assert watched.fingerprint() == plain.fingerprint()
    assert watched.note() == plain.note()


def test_a_section_that_is_no_json_is_named() -> None:
    with pytest.raises(ConfigError, match=r"--section.*not JSON"):
        opened("--section", "{steps: 7}")
