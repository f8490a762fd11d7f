"""Two presets in one study: each has its tables and its models, and a change of one leaves the other's alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from builders.checkout import ROOT, copy_repository

from valm.cli.dry_run import PlannedJob, parse_jobs
from valm.config.study import Study, merge, parse_study
from valm.config.verbs import section_for

FILES = [ROOT / "config.yaml", ROOT / "config/studies/tiny.yaml"]
FIXED = {"name": "fixed", "query": {"window_tokens": 16, "stride_tokens": 8}, "index": "exact"}
SHORT = {"name": "short", "query": {"window_tokens": 8, "stride_tokens": 4}, "index": "half"}
JOINT = {"fusion": {"name": "joint"}, "pictures": "retrieved"}
TWO: dict[str, Any] = {
    "retrieve": {
        "indices": [
            {"name": "exact", "factory": "Flat"},
            {"name": "half", "factory": "Flat", "pictures_fraction": 0.5},
        ],
        "presets": [FIXED, SHORT],
    },
    "models": {
        "variants": [
            {"name": "gpt2_star"},
            {"name": "valm"} | JOINT,
            {"name": "valm_short", "preset": "short"} | JOINT,
            {"name": "valm_two", "top_k": 2} | JOINT,
        ]
    },
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> list[PlannedJob]:
    """All jobs of the tiny study with two presets."""
    checkout = copy_repository(tmp_path_factory.mktemp("presets"))
    two = checkout.folder / "two.yaml"
    two.write_text(yaml.safe_dump(TWO), encoding="utf-8")
    files = ["config/studies/tiny.yaml", two.name]
    dry = checkout.run(
        "snakemake", "--cores", "2", "--dry-run", "--printshellcmds", "--configfile", *files
    )
    assert dry.returncode == 0, dry.stdout[-3000:]
    return parse_jobs(dry.stdout)


def study(**over: Any) -> Study:
    tiny = merge(*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in FILES))
    return parse_study(merge(merge(tiny, TWO), over))


def names(path: Path) -> str:
    """A result's place below the study's."""
    return path.as_posix().partition("tiny/")[2].removesuffix(".manifest.json")


def made_again(jobs: list[PlannedJob], changed: Study) -> set[str]:
    """Tables, pictures and models that are made again: handed otherwise, or taking what is."""
    again: set[Path] = set()
    for job in jobs:
        chosen = {
            name: job.options[name][0]
            for name in ("source", "index", "preset", "split", "model", "seed", "task")
            if name in job.options
        }
        handed = section_for(changed, job.verb, **chosen) if job.section else job.section
        if handed != job.section or again.intersection(job.inputs):
            again.add(job.output)
    places = {names(path) for path in again}
    kinds = ("retrieve/indices", "retrieve/neighbours", "evaluate/pictures", "train")
    return {place for place in places if place.startswith(kinds)}


def inputs_of(jobs: list[PlannedJob], place: str) -> set[str]:
    (job,) = (job for job in jobs if names(job.output) == place)
    return {names(path) for path in job.inputs}


def tables(preset: str) -> set[str]:
    found = {f"retrieve/neighbours/{preset}/{split}" for split in ("train", "valid")}
    return found | {f"evaluate/pictures/{preset}/{task}" for task in ("shape", "held_out_text")}


def test_each_variant_reads_the_tables_of_its_preset(jobs: list[PlannedJob]) -> None:
    of_preset = {"valm": "fixed", "valm_two": "fixed", "valm_short": "short"}
    for model, preset in of_preset.items():
        trained = inputs_of(jobs, f"train/{model}/seed1/model")
        read = {place for place in trained if place.startswith("retrieve/")}
        assert read == {f"retrieve/neighbours/{preset}/{split}" for split in ("train", "valid")}
        asked = inputs_of(jobs, f"evaluate/predictions/{model}/shape")
        shown = {place for place in asked if place.startswith("evaluate/pictures")}
        assert shown == {f"evaluate/pictures/{preset}/shape"}
    for preset, index in (("fixed", "exact"), ("short", "half")):
        for place in tables(preset):
            assert f"retrieve/indices/{index}" in inputs_of(jobs, place)


def test_a_preset_that_changes_leaves_the_others_alone(jobs: list[PlannedJob]) -> None:
    longer = SHORT | {"query": {"window_tokens": 10, "stride_tokens": 4}}
    changed = study(retrieve={"presets": [FIXED, longer]})
    assert made_again(jobs, changed) == tables("short") | {"train/valm_short/seed1/model"}


def test_another_share_of_the_pictures_reaches_its_index_and_what_searches_it(
    jobs: list[PlannedJob],
) -> None:
    indices = [
        TWO["retrieve"]["indices"][0],
        TWO["retrieve"]["indices"][1] | {"pictures_fraction": 0.4},
    ]
    wanted = tables("short") | {"retrieve/indices/half", "train/valm_short/seed1/model"}
    assert made_again(jobs, study(retrieve={"indices": indices})) == wanted


def test_how_many_pictures_a_variant_reads_is_its_own_matter(jobs: list[PlannedJob]) -> None:
    variants = [*TWO["models"]["variants"][:3], TWO["models"]["variants"][3] | {"top_k": 3}]
    changed = study(models={"variants": variants})
    assert made_again(jobs, changed) == {"train/valm_two/seed1/model"}
