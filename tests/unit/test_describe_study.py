"""What is said of a study before it runs: against files as they are written, and against the paper."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.checkout import ROOT
from builders.retrieval import unit_vectors, write_index, write_vectors

from valm.cli.describe_study import as_text, named_study
from valm.cli.study_forecast import PAPERS_TRUNK, forecast
from valm.config.models import Variant
from valm.config.retrieve import Index, Preset
from valm.retrieve.neighbours import layout
from valm.retrieve.sizes import index_bytes, neighbour_bytes
from valm.train.step_cost import step_cost

HEADER_BYTES = 2_000  # of a small index's file, with the length of each list


@pytest.fixture(scope="module")
def paper() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(ROOT)
        return forecast(named_study("paper", [Path("config.yaml")]))


@pytest.mark.parametrize("factory", ["Flat", "PQ4x4", "IVF8,Flat", "IVF8,PQ8x4", "IVF8,SQ8"])
@pytest.mark.parametrize("fraction", [1.0, 0.5])
def test_an_index_is_as_large_as_was_said(tmp_path: Path, factory: str, fraction: float) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(4000))
    manifest = write_index(tmp_path, vectors, factory, pictures_fraction=fraction)
    size = manifest.with_name("exact.faiss").stat().st_size
    said = index_bytes(Index(name="exact", factory=factory, pictures_fraction=fraction), 16, 4000)
    drawn = 4 * (fraction * (1 - fraction) * 4000) ** 0.5  # the share is drawn, not counted out
    assert abs(size - said) <= HEADER_BYTES + drawn * said / (4000 * fraction)


def test_a_table_is_as_large_as_was_said() -> None:
    written = sum(np.empty((7, width), dtype).nbytes for width, dtype in layout(4, 12).values())
    assert neighbour_bytes(Preset(name="whole"), 4, 12) * 7 == written
    assert neighbour_bytes(Preset(name="lean", text_states=False), 4, 12) == 4 * (4 + 2 + 1)


def test_operations_are_those_of_the_closed_form() -> None:
    """Products of layers and output, and of attention with all T places; forward once, back twice."""
    layers, width, context, entries = 12, 768, 512, 49_412
    cost = step_cost(PAPERS_TRUNK, Variant(name="gpt2_star"), entries, 0, 0)
    products = layers * (4 + 2 * 4) * width**2 + entries * width + layers * 2 * context * width
    assert cost.operations == pytest.approx(3 * 2 * products, rel=1e-6)


def test_the_papers_figures(paper: dict[str, Any]) -> None:
    parameters = {model["name"]: model["parameters"] for model in paper["models"]}
    assert parameters.pop("gpt2_star") == 123_004_416
    assert set(parameters.values()) == {123_007_488} and len(parameters) == 6
    by_preset = {(model["preset"], model["top_k"]) for model in paper["models"]}
    assert by_preset == {(None, 0), *((name, k) for name in ("parity", "fixed") for k in (4, 8))}
    assert paper["tokens"] == {
        "corpus": 10_700_000_000, "per_step": 65_536, "steps": 500_000,
        "seen": 32_768_000_000, "passes": 3.06,
    }  # fmt: skip
    assert [round(index["bytes"] / 1e9, 1) for index in paper["indices"]] == [14.2, 14.2]
    keys_and_values = 2 * 2 * 768 * 191_504_486
    assert 0 < paper["pictures"]["vector_bytes"] - keys_and_values < keys_and_values / 100
    assert {table["bytes"] for table in paper["neighbours"]} == {56 * 10_700_000_000}


def test_hours_are_those_of_the_throughputs_that_are_stated(paper: dict[str, Any]) -> None:
    a100, v100 = paper["gpu_hours"]
    assert a100["train"]["gpt2_star"] == pytest.approx(32.768e9 / (245_000 / 4) / 3600, abs=0.1)
    six_days_on_sixteen = 6 * 24 * 16
    assert v100["train"]["gpt2_star"] == pytest.approx(six_days_on_sixteen / 2.06, abs=0.1)
    for hours in (a100, v100):
        parts = [*hours["train"].values(), *hours["queries"].values(), hours["embed"]]
        assert hours["all"] == pytest.approx(sum(parts), abs=1)
    assert all(rate["source"] for rate in paper["throughputs"]) and paper["assumed"]


def test_the_table_for_people_says_the_same(paper: dict[str, Any]) -> None:
    text = as_text(paper)
    for shown in ("123,004,416", "123,007,488", "14.2 GB", "599 GB", "A100, float16", "Blind-VaLM"):
        assert shown in text


def test_what_only_making_it_will_tell_is_left_open() -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(ROOT)
        small = forecast(named_study("tiny", [Path("config.yaml")]))
    star, valm = small["models"]
    assert star["parameters"] > 600 * 32  # its vocabulary's embeddings
    assert small["tokens"]["corpus"] is None and small["gpu_hours"][0]["all"] is None
    assert valm["parameters"] > star["parameters"] and small["neighbours"][0]["bytes_per_token"]
    assert as_text(small)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--study", "papr"], ["there is no study 'papr'", "did you mean 'paper'"]),
        (["--json"], ["--json goes with --study"]),
    ],
)
def test_a_wrong_question_is_one_line(arguments: list[str], words: list[str]) -> None:
    command = [sys.executable, "-m", "valm", "describe", *arguments]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 2 and len(run.stderr.splitlines()) == 1
    assert [word for word in words if word not in run.stderr] == []


@pytest.mark.slow
def test_json_holds_the_figures(paper: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "valm", "describe", "--study", "paper", "--json"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == paper
