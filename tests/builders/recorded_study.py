"""The finished tiny study as if it were the default one: a git repository whose results DVC has recorded.

``dvc.yaml`` is written for the default study, ``results/<phase>``. Here ``config.yaml`` holds the tiny
study's settings under the default study's name; its results move there and are adopted.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path

import yaml
from builders.checkout import ROOT, Checkout, copy_repository, jobs

from valm.config.study import DEFAULT_STUDY, merge

DVC_PARTS = ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore", ".dvc/plots")
RESULTS = Path("results")


@dataclass(frozen=True)
class Repository(Checkout):
    """A git repository with the study's results, or a clone of it."""

    @property
    def results(self) -> Path:
        return self.folder / RESULTS

    @property
    def environment(self) -> dict[str, str]:
        who = {
            f"GIT_{role}_{what}": "tests@localhost"
            for role in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        return super().environment | who | {"GIT_CONFIG_GLOBAL": os.devnull}

    def must(self, *command: str, **environment: str) -> str:
        """Run a command that has to succeed; what it prints."""
        run = self.run(*command, **environment)
        assert run.returncode == 0, f"{command}: {run.stdout[-6000:]}"
        return run.stdout

    def dvc(self, *arguments: str, **environment: str) -> str:
        return self.must("dvc", *arguments, **environment)

    def git(self, *arguments: str) -> str:
        return self.must("git", *arguments)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("snakemake", "--cores", "2", *arguments)

    def adopt(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("python", "-m", "valm", "adopt", *arguments)

    def is_clean(self) -> bool:
        """Whether DVC sees no difference from its record."""
        return json.loads(self.dvc("status", "--json")) == {}

    def clone(self, folder: Path) -> Repository:
        """A git clone: what is committed, and nothing else."""
        self.git("clone", "--quiet", str(self.folder), str(folder))
        return Repository(folder)

    def damaged_cache(self) -> list[str]:
        """Objects of DVC's cache that no longer have the MD5 that they are named after."""
        objects = (self.folder / ".dvc/cache/files/md5").glob("??/*")
        return [
            file.name
            for file in objects
            if md5(file.read_bytes()).hexdigest()
            != file.parent.name + file.name.removesuffix(".dir")
        ]


def record(tiny: Checkout, folder: Path) -> Repository:
    """Move a finished tiny study into a repository of its own, and record it."""
    copy_repository(folder)
    for part in DVC_PARTS:
        (folder / part).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)
    _tiny_settings_as_default(folder)
    repository = Repository(folder)
    shutil.copytree(tiny.results, repository.results, ignore=shutil.ignore_patterns("report"))
    shutil.copytree(tiny.folder / "data", folder / "data")
    adopted = repository.adopt()
    assert adopted.returncode == 0, adopted.stdout
    made = repository.snakemake()  # the report names its study
    assert made.returncode == 0, made.stdout[-6000:]
    assert set(jobs(made.stdout)) == {"run_notebook", "write_viewer", "write_report"}
    repository.git("init", "--quiet")
    repository.dvc("add", "--quiet", "data")
    repository.dvc("commit", "--quiet", "--force")
    repository.git("add", ".")
    repository.git("commit", "--quiet", "--message", "The tiny study as the default one")
    return repository


def _tiny_settings_as_default(folder: Path) -> None:
    config = folder / "config.yaml"
    base, tiny = (
        yaml.safe_load(file.read_text(encoding="utf-8"))
        for file in (config, folder / "config/studies/tiny.yaml")
    )
    merged = merge(base, tiny) | {"study": DEFAULT_STUDY}
    config.write_text(yaml.safe_dump(merged, sort_keys=False), encoding="utf-8")
