"""Several processes, parts of a batch, activations computed twice: the model that one process makes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.free_port import free_port
from builders.streams import Streams, make_streams, training_job
from builders.trained import random_model
from safetensors.torch import load_file

from valm.config.study import parse_study
from valm.config.train import Devices
from valm.config.verbs import ASIDE
from valm.errors import ConfigError
from valm.models.pictures import Pictures
from valm.models.trunk import TrunkConfig
from valm.train.batches import Blocks, Share, blocks_of_step, shuffled_batches
from valm.train.fit import train_model
from valm.train.processes import this_process

EXACT = {"precision": "float32"}
# 12 steps of Adam at full rate make a last bit of a gradient into this much of a weight.
CLOSE = {"atol": 2e-5, "rtol": 2e-4}


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Streams:
    return make_streams(tmp_path_factory.mktemp("streams"))


@pytest.fixture(scope="module")
def alone(streams: Streams, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by one process."""
    return train_here(streams, tmp_path_factory.mktemp("alone"), {})


def train_here(streams: Streams, folder: Path, devices: dict[str, Any]) -> Path:
    """Train in this process."""
    job = training_job("valm", changes={"train": EXACT | {"devices": devices}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VALM_WORK", str(folder / "work"))
        train_model(
            job, model="valm", seed=1, tokens=streams.tokens, pictures=streams.pictures,
            output=folder / "model.manifest.json",
        )  # fmt: skip
    return folder


# The real command, whose leading process sends itself a signal as a step begins.
SIGNALLED = """
import os
from valm.cli.main import main
from valm.train.training import Training

step = Training.training_step
number, at = map(int, os.environ["SIGNAL_AT"].split())
def signalled(self, batch, index):
    if self.trainer.global_step == at and self.trainer.is_global_zero:
        os.kill(os.getpid(), number)
    return step(self, batch, index)
Training.training_step = signalled
main()
"""


def start(
    streams: Streams,
    folder: Path,
    devices: dict[str, Any],
    changes: dict[str, Any] | None = None,
    options: tuple[str | Path, ...] = (),
    signal_at: tuple[int, int] | None = None,
    **environment: str,
) -> subprocess.Popen[str]:
    """The real command in a process of its own, which starts others if it is to.

    Args:
        signal_at: A signal, and the step at which the leading process gets it.
    """
    program: tuple[str | Path, ...] = ("-m", "valm")
    if signal_at is not None:
        program = (folder / "signalled.py",)
        (folder / "signalled.py").write_text(SIGNALLED, encoding="utf-8")
        environment["SIGNAL_AT"] = "{} {}".format(*signal_at)
    job = training_job("valm", changes={"train": EXACT | {"devices": devices}} | (changes or {}))
    pictures = streams.pictures
    command = [
        sys.executable, *program, "train-model", "--model", "valm", "--seed", "1",
        "--tokens", streams.tokens, "--vectors", pictures.vectors,
        "--neighbours-train", pictures.neighbours["train"],
        "--neighbours-valid", pictures.neighbours["valid"],
        "--section", json.dumps(job.section), "--code", "c0de",
        "--output", folder / "model.manifest.json", *options,
    ]  # fmt: skip
    handed = {"VALM_WORK": str(folder / "work"), ASIDE: json.dumps(dict(job.aside))}
    return subprocess.Popen(
        list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=folder,
        env=os.environ | handed | environment,
    )  # fmt: skip


def losses(folder: Path) -> list[list[float]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10, 12]
    return [[line["loss"], line["valid_loss"] or 0.0, line["tokens"]] for line in lines]


def assert_same_model(found: Path, expected: Path) -> None:
    weights, wanted = (load_file(f / "model.safetensors") for f in (found, expected))
    for name, value in wanted.items():
        if name.endswith("query_key_value.bias"):
            # A bias of all keys changes no softmax: its gradient is rounding, which Adam blows up.
            for third in (0, 2):
                torch.testing.assert_close(
                    weights[name].view(3, -1)[third], value.view(3, -1)[third], **CLOSE
                )
        else:
            torch.testing.assert_close(weights[name], value, **CLOSE)
    torch.testing.assert_close(torch.tensor(losses(found)), torch.tensor(losses(expected)), **CLOSE)
    facts = [json.loads((f / "model.json").read_text()) for f in (found, expected)]
    assert facts[0] | {"valid_loss": 0} == facts[1] | {"valid_loss": 0}


def test_parts_of_a_batch_give_the_model_of_the_whole(
    streams: Streams, alone: Path, tmp_path: Path
) -> None:
    assert_same_model(train_here(streams, tmp_path, {"accumulate_steps": 4}), alone)


@pytest.mark.parametrize(
    "devices",
    [{"per_node": 2}, pytest.param({"per_node": 2, "accumulate_steps": 2}, marks=pytest.mark.slow)],
    ids=["processes", "and parts"],
)
def test_two_processes_give_the_model_of_one(
    streams: Streams, alone: Path, tmp_path: Path, devices: dict[str, Any]
) -> None:
    """DDP over gloo, by the real command, which starts the second process."""
    run = start(streams, tmp_path, devices)
    error = run.communicate()[1]
    assert run.returncode == 0, error
    assert_same_model(tmp_path, alone)
    assert error.count("validation loss") == 1  # one process speaks


def under_srun(rank: int, port: str) -> dict[str, str]:
    """The variables that srun gives to one of two processes on two machines."""
    return {
        "SLURM_JOB_ID": "4711", "SLURM_JOB_NAME": "train", "SLURM_NTASKS": "2",
        "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS_PER_NODE": "1", "SLURM_LOCALID": "0",
        "SLURM_PROCID": str(rank), "SLURM_NODEID": str(rank),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip


def ended_well(*runs: subprocess.Popen[str]) -> None:
    for run in runs:
        error = run.communicate()[1]
        assert run.returncode == 0, error


@pytest.mark.slow
def test_two_machines_under_srun(streams: Streams, alone: Path, tmp_path: Path) -> None:
    """The same command, started once for each process, as srun does."""
    port = free_port()
    ended_well(
        *(start(streams, tmp_path, {"nodes": 2}, **under_srun(rank, port)) for rank in (0, 1))
    )
    assert_same_model(tmp_path, alone)


@pytest.mark.slow
def test_machines_go_on_from_another_folder_whichever_comes_first(
    streams: Streams, tmp_path: Path
) -> None:
    devices = {"nodes": 2}
    here, elsewhere = tmp_path / "here", tmp_path / "elsewhere"
    for folder in (here, elsewhere):
        folder.mkdir()

    def process(rank: int, port: str, folder: Path, **more: Any) -> subprocess.Popen[str]:
        return start(streams, folder, devices, **more, **under_srun(rank, port))

    port, kill = free_port(), (signal.SIGKILL, 6)
    for run in [process(rank, port, here, signal_at=kill) for rank in (0, 1)]:
        error = run.communicate()[1]
        assert run.returncode != 0
    assert newest_checkpoint_of(here) == "step-00000004", error
    (work,) = here.glob("work/train-model/*")
    shutil.copytree(work, tmp_path / "moved")
    port, options = free_port(), ("--resume-from", tmp_path / "moved")
    second = process(1, port, elsewhere, options=options)
    while not list(elsewhere.glob("work/train-model/*")):
        assert second.poll() is None, second.communicate()[1]
        time.sleep(0.02)
    time.sleep(2)  # it has looked for a checkpoint before the first process is there
    ended_well(process(0, port, elsewhere, options=options), second)
    port = free_port()
    ended_well(*(process(rank, port, here) for rank in (0, 1)))
    first, moved = ((f / "model.safetensors").read_bytes() for f in (here, elsewhere))
    assert first == moved
    assert losses(here) == losses(elsewhere)


def newest_checkpoint_of(folder: Path) -> str | None:
    names = [path.name for path in folder.glob("work/train-model/*/checkpoints/step-*")]
    return max(names, default=None)


@pytest.mark.slow
def test_two_processes_go_on_after_sigterm_and_sigkill(streams: Streams, tmp_path: Path) -> None:
    """With dropout, of which each process draws its own: the bits of the undisturbed run."""
    changes = {"models": {"trunk": {"dropout": 0.1}}}
    devices = {"per_node": 2, "accumulate_steps": 2}
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    for folder in (undisturbed, disturbed):
        folder.mkdir()
    for number, step, code, kept in (
        (signal.SIGTERM, 5, 143, "step-00000006"),
        (signal.SIGKILL, 10, -9, "step-00000008"),
    ):
        run = start(streams, disturbed, devices, changes, signal_at=(number, step))
        error = run.communicate()[1]
        assert run.returncode == code, error
        assert newest_checkpoint_of(disturbed) == kept
    ended_well(*(start(streams, folder, devices, changes) for folder in (disturbed, undisturbed)))
    first, second = (
        (folder / "model.safetensors").read_bytes() for folder in (undisturbed, disturbed)
    )
    assert first == second


def test_processes_share_every_step_without_overlap() -> None:
    """Three processes in two parts each read what one process reads, each block once."""
    blocks = Blocks(torch.arange(24 * 4 + 1).numpy(), context_tokens=4)
    whole = shuffled_batches(blocks, 12, seed=5, first_step=3)
    shares = [
        shuffled_batches(blocks, 12, 5, 3, Share(rank, processes=3, parts=2)) for rank in range(3)
    ]
    for step in (3, 4):
        expected = next(whole).ids[:, 0] // 4
        read = [next(share).ids[:, 0] // 4 for _ in range(2) for share in shares]
        assert [len(part) for part in read] == [2] * 6
        assert torch.cat(read).tolist() == expected.tolist()
        assert expected.tolist() == blocks_of_step(24, 12, 5, step).tolist()


@pytest.mark.parametrize("fusion", ["none", "joint"])
def test_activations_computed_twice_give_the_same_bits_from_less(fusion: str) -> None:
    """Loss and every gradient, with dropout; and what is kept for the way back is less."""
    trunk = TrunkConfig(layers=4, width=16, heads=2, context_tokens=8, dropout=0.2)
    model = random_model(trunk, fusion, {}, 50, 12).train()
    ids = torch.randint(0, 50, (3, 8))
    vectors, mask = torch.randn(3, 8, 2, 12), torch.rand(3, 8, 2) < 0.7
    pictures = Pictures(mask, vectors=vectors) if fusion == "joint" else None
    results, kept = [], []
    for recomputes in (False, True):
        model.trunk.recomputes = recomputes
        model.zero_grad()
        sizes: list[int] = []

        def count(tensor: torch.Tensor, sizes: list[int] = sizes) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        torch.manual_seed(3)
        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            loss = model.loss(ids, ids.roll(1, dims=1), pictures)
        kept.append(sum(sizes))
        loss.backward()
        gradients = [parameter.grad.clone() for parameter in model.parameters()]
        results.append([loss.detach(), *gradients])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert kept[1] < kept[0] / 2


def test_training_follows_the_key(streams: Streams, alone: Path, tmp_path: Path) -> None:
    train_here(streams, tmp_path, {"activation_checkpointing": True})
    assert (tmp_path / "model.safetensors").read_bytes() == (
        alone / "model.safetensors"
    ).read_bytes()


# --- refusals ------------------------------------------------------------------------------------


def test_a_batch_that_does_not_divide_is_refused_by_name() -> None:
    devices = {"per_node": 2, "nodes": 2, "accumulate_steps": 3}
    for sequences in (16, 6):
        with pytest.raises(ConfigError, match=r"train:.*4 processes x 3 parts.*multiple of 12"):
            parse_study({"train": {"sequences_per_step": sequences, "devices": devices}})
    parse_study({"train": {"sequences_per_step": 24, "devices": devices}})


def test_machines_that_srun_did_not_start_are_refused(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path))
    job = training_job("valm", changes={"train": {"devices": {"nodes": 2, "per_node": 2}}})
    with pytest.raises(ConfigError, match=r"srun did not start them.*srun --nodes 2 --ntasks-per"):
        train_model(
            job, model="valm", seed=1, tokens=streams.tokens, pictures=streams.pictures,
            output=tmp_path / "model.manifest.json",
        )  # fmt: skip
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "3")
    monkeypatch.setenv("SLURM_PROCID", "0")
    with pytest.raises(ConfigError, match="srun started 3 processes"):
        this_process(Devices(nodes=2, per_node=2))
    assert this_process(Devices()).leads  # one process in a Slurm job is just that
