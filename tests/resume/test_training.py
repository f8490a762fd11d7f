"""Training goes on after kill -9, SIGTERM and a damaged checkpoint, bit for bit as undisturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from builders.streams import Streams, make_streams, training_job

from valm.core.atomic import write_array
from valm.core.manifest import read_manifest
from valm.errors import ConfigError, InputError, IntegrityError, ValmError
from valm.train.fit import train_model
from valm.train.saved_model import load_model
from valm.train.state_files import load_state
from valm.train.training import Training

DROPOUT = {"trunk": {"dropout": 0.1}}
VOLATILE = ("tokens_per_second", "seconds", "peak_memory_bytes")

# A training in a process of its own, slow enough to be met between two steps.
CHILD = """
import sys, time
from pathlib import Path
from builders.streams import open_streams, training_job
from valm.train.fit import train_model
from valm.train.training import Training

step = Training.training_step
def slow_step(self, batch, index):
    print("step", self.trainer.global_step, flush=True)
    time.sleep(0.05)
    return step(self, batch, index)
Training.training_step = slow_step
folder = Path(sys.argv[1])
streams = open_streams(folder)
job = training_job("valm", changes={"models": {"trunk": {"dropout": 0.1}}})
train_model(job, model="valm", seed=1, tokens=streams.tokens, pictures=streams.pictures,
            output=folder / "out" / "model.manifest.json")
"""

# The same training over and over, each time killed one step later than the time before; at the end
# of step 8 it is killed once more, between the two files of a checkpoint.
KILLED_AT_EVERY_STEP = """
import os, signal, sys
from pathlib import Path
from builders.streams import open_streams, training_job
from valm.train import state_files
from valm.train.fit import train_model
from valm.train.training import Training

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at(step):
    original = Training.training_step
    def patched(self, batch, index):
        return die() if self.trainer.global_step == step else original(self, batch, index)
    Training.training_step = patched

folder = Path(sys.argv[1])
streams = open_streams(folder)
job = training_job("valm", changes={"models": {"trunk": {"dropout": 0.1}},
                                    "train": {"precision": "float32"}})
for step in sys.argv[2:]:
    if os.fork() == 0:
        if step == "save":
            state_files.digest_data = die
        else:
            die_at(int(step))
        train_model(job, model="valm", seed=1, tokens=streams.tokens, pictures=streams.pictures,
                    output=folder / "out" / "model.manifest.json")
    _, status = os.wait()
    print("killed" if os.WTERMSIG(status) == signal.SIGKILL else "ended")
"""


@pytest.fixture
def streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Streams:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    return make_streams(tmp_path)


def train(
    streams: Streams, folder: Path, model: str = "valm", changes: dict[str, Any] | None = None
) -> Path:
    output = folder / "model.manifest.json"
    train_model(
        training_job(model, changes=changes),
        model=model,
        seed=1,
        tokens=streams.tokens,
        pictures=streams.pictures,
        output=output,
    )
    return output


def undisturbed(
    streams: Streams, folder: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> Path:
    """The same training with a work directory of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("VALM_WORK", str(folder / "work"))
        return train(streams, folder, changes=changes)


def history(manifest: Path) -> list[dict[str, Any]]:
    """The metrics without what a clock decides."""
    text = manifest.with_name("metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    return [{k: v for k, v in line.items() if k not in VOLATILE} for line in lines]


def assert_same(first: Path, second: Path) -> None:
    """Two trainings gave the same manifest, hence the same bytes, and the same history."""
    assert read_manifest(first) == read_manifest(second)
    assert history(first) == history(second)


def environment() -> dict[str, str]:
    """The environment of a process that finds the builders of these tests."""
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


def killed_child(folder: Path, at_step: int) -> int:
    """Run the training in a process of its own and kill it as a step begins; its exit code."""
    command = [sys.executable, "-c", CHILD, str(folder)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment())
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == f"step {at_step}":
            child.kill()
            return child.wait()
    raise AssertionError("the training ended before it was killed")


def at_step(step: int, act: Callable[[], None], patch: pytest.MonkeyPatch) -> None:
    """Do something as a training step begins."""
    original = Training.training_step

    def patched(self: Training, batch: Any, index: int) -> Any:
        if self.trainer.global_step == step:
            act()
        return original(self, batch, index)

    patch.setattr(Training, "training_step", patched)


def checkpoints(folder: Path) -> list[Path]:
    return sorted(folder.glob("work/train-model/*/checkpoints/step-*"))


def test_killed_terminated_and_damaged_is_as_undisturbed(
    streams: Streams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """bfloat16 autocast and dropout; checkpoints every 4 of 12 steps."""
    changes = {"models": DROPOUT}
    expected = undisturbed(streams, tmp_path / "undisturbed", monkeypatch, changes)
    assert killed_child(tmp_path, at_step=6) == -signal.SIGKILL
    assert [c.name for c in checkpoints(tmp_path)] == ["step-00000004"]
    # Goes on from 4; a signal saves a checkpoint after the step at hand.
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as stopped:
        at_step(9, lambda: os.kill(os.getpid(), signal.SIGTERM), patch)
        train(streams, tmp_path / "out", changes=changes)
    assert stopped.value.code == 143
    kept = checkpoints(tmp_path)
    assert [c.name for c in kept] == ["step-00000008", "step-00000010"]
    tensors = kept[-1] / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-1])
    with caplog.at_level("WARNING", "valm"):
        output = train(streams, tmp_path / "out", changes=changes)
    assert "step-00000010" in caplog.text
    assert_same(output, expected)
    assert not checkpoints(tmp_path)


def test_float32_goes_on_exactly(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {"train": {"precision": "float32"}, "models": DROPOUT}
    expected = undisturbed(streams, tmp_path / "undisturbed", monkeypatch, changes)

    def fail() -> None:
        raise RuntimeError("out of luck")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="out of luck"):
        at_step(7, fail, patch)
        train(streams, tmp_path / "out", changes=changes)
    assert_same(train(streams, tmp_path / "out", changes=changes), expected)


def test_how_a_training_is_saved_and_shown_changes_no_bit(
    streams: Streams,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Killed, it goes on with other checkpoints and a tracking service, in the same work folder."""
    changes = {"models": DROPOUT}
    expected = undisturbed(streams, tmp_path / "undisturbed", monkeypatch, changes)
    assert killed_child(tmp_path, at_step=6) == -signal.SIGKILL
    shown: list[int] = []
    service = SimpleNamespace(
        init=lambda **_: None, log=lambda _, step: shown.append(step), finish=lambda: None
    )
    monkeypatch.setitem(sys.modules, "trackio", service)
    otherwise = {"train": {"checkpoint_every_steps": 5, "tracking": "trackio"}}
    with caplog.at_level("INFO", "valm"):
        output = train(streams, tmp_path / "out", changes=changes | otherwise)
    assert "going on from step 4 of 12" in caplog.text
    assert shown == [2, 4, 6, 8, 10, 12]
    assert_same(output, expected)
    assert {file.name for file in output.parent.iterdir()} == {
        "model.json", "model.manifest.json", "model.safetensors", "metrics.jsonl",
    }  # fmt: skip


def same_bits(first: Any, second: Any) -> bool:
    """Whether two loaded states are equal, but for what a clock decides."""
    if isinstance(first, dict):
        names = first.keys() - {"seconds"}
        return names == second.keys() - {"seconds"} and all(
            same_bits(first[name], second[name]) for name in names
        )
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same_bits, first, second))
    return torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second


@pytest.mark.slow
def test_killed_at_every_step_it_is_as_undisturbed(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parameters, optimiser, schedule, generators and history, in float32 with dropout."""
    changes = {"train": {"precision": "float32"}, "models": DROPOUT}
    calm = tmp_path / "undisturbed"

    def killed(steps: list[str], work: Path) -> None:
        command = [sys.executable, "-c", KILLED_AT_EVERY_STEP, str(tmp_path), *steps]
        there = environment() | {"VALM_WORK": str(work)}
        output = subprocess.run(command, env=there, stdout=subprocess.PIPE, text=True, check=True)
        assert output.stdout.split() == ["killed"] * len(steps)

    killed(["9"], calm / "work")
    killed([*"1234567", "save", "8", "9"], tmp_path / "work")
    (expected,), (found,) = checkpoints(calm)[-1:], checkpoints(tmp_path)[-1:]
    assert found.name == expected.name == "step-00000008"
    state = load_state(expected)
    assert {"state_dict", "optimizer_states", "lr_schedulers", "generators"} <= state.keys()
    assert same_bits(load_state(found), state)
    killed(["10", "11"], tmp_path / "work")
    wanted = undisturbed(streams, tmp_path / "again", monkeypatch, changes)
    assert_same(train(streams, tmp_path / "out", changes=changes), wanted)


def test_variants_of_a_seed_see_the_same_batches_and_learn(
    streams: Streams, tmp_path: Path
) -> None:
    """Every control trains; what follows what is learnt; the model can be loaded again."""
    changes = {"train": {"steps": 60, "optimiser": {"learning_rate": 0.02}}}
    for model in ("gpt2_star", "valm_random", "valm_text_state"):
        manifest = train(streams, tmp_path / model, model, changes)
        losses = [line["loss"] for line in history(manifest)]
        assert losses[-1] < losses[0] - 1.0
        loaded, info = load_model(manifest)
        assert loaded.parameter_count == read_manifest(manifest, "model").rows
        assert info["variant"] == model
        assert (loaded.value_width == 0) == (model == "gpt2_star")


def test_the_last_weights_are_kept_whatever_validation_says(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The official checkpoint is chosen by an evaluation; here no step is better than the last."""
    rate = {"optimiser": {"learning_rate": 3.0, "warmup_steps": 0}}
    watched = train(
        streams, tmp_path / "watched", changes={"train": rate | {"validate_every_steps": 1}}
    )
    losses = [line["valid_loss"] for line in history(watched) if line["valid_loss"] is not None]
    assert min(losses[:-1]) < losses[-1] == read_manifest(watched).facts["valid_loss"]
    once = undisturbed(
        streams, tmp_path / "once", monkeypatch, {"train": rate | {"validate_every_steps": 8}}
    )
    weights = [load_model(manifest)[0].state_dict() for manifest in (watched, once)]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_what_stops_a_training_is_named(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_pictures = Streams(streams.tokens, None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"reads pictures.*--vectors"):
        train(no_pictures, tmp_path / "valm")
    with pytest.raises(InputError, match=r"shorter than one block.*context_tokens"):
        train(streams, tmp_path / "x", changes={"models": {"trunk": {"context_tokens": 2048}}})
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"nothing can be written here.*file/out"):
        train(streams, tmp_path / "file" / "out")
    mask = tmp_path / "neighbours" / "valid.ids.npy"
    write_array(mask, np.load(mask)[:-1])
    with pytest.raises(InputError, match=r"499 tokens have neighbours, the valid stream has 500"):
        train(streams, tmp_path / "valm")


def test_a_loss_that_is_no_number_stops_the_training_at_its_step(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two lines of the history; a bad update is not saved either."""
    step = Training.training_step

    def spoilt(self: Training, batch: Any, index: int) -> Any:
        return step(self, batch, index) * (float("nan") if self.trainer.global_step == 6 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "training_step", spoilt)
        with pytest.raises(ValmError, match=r"the loss of step 7 is not.*learning_rate.*kept"):
            train(streams, tmp_path / "valm")
    assert [c.name for c in checkpoints(tmp_path)] == ["step-00000004"]

    def burst(self: Training, batch: Any, index: int) -> Any:
        nothing = next(self.parameters()) * 0.0  # its root has an infinite slope
        loss = step(self, batch, index)
        return loss + nothing.sqrt().sum() if self.trainer.global_step == 7 else loss

    with monkeypatch.context() as patch:
        patch.setattr(Training, "training_step", burst)
        with pytest.raises(ValmError, match="parameters are not finite after step 8"):
            train(streams, tmp_path / "valm")
    assert [c.name for c in checkpoints(tmp_path)] == ["step-00000004"]


def test_changed_weights_are_not_loaded(streams: Streams, tmp_path: Path) -> None:
    manifest = train(streams, tmp_path / "gpt2_star", "gpt2_star")
    weights = manifest.with_name("model.safetensors")
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(IntegrityError, match="differs from its manifest"):
        load_model(manifest)
