"""A model whose parts lie on several devices (fsdp): its gradient, and where it is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from builders.free_port import free_port
from builders.streams import make_streams, training_job
from builders.trained import random_model
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy

from valm.config.study import parse_study
from valm.config.train import Devices
from valm.errors import ConfigError, ResumeError
from valm.models.trunk import TrunkConfig
from valm.train.batches import Blocks
from valm.train.fit import train_model
from valm.train.loop import run_training
from valm.train.processes import Process, make_strategy
from valm.train.training import Training


def test_fsdp_is_configured_and_refused_without_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    streams = make_streams(tmp_path / "streams")
    devices = Devices(strategy="fsdp", per_node=2)
    assert isinstance(make_strategy(devices, all_parameters_used=True), FSDPStrategy)
    assert isinstance(make_strategy(Devices(per_node=2), all_parameters_used=True), DDPStrategy)
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    job = training_job("valm", changes={"train": {"devices": devices.model_dump()}})
    with pytest.raises(ConfigError) as refused:
        train_model(
            job, model="valm", seed=1, tokens=streams.tokens, pictures=streams.pictures,
            output=tmp_path / "model.manifest.json",
        )  # fmt: skip
    line = str(refused.value)
    assert re.search(r"fsdp.*requires a GPU.*\[train.devices\] -> .*ddp", line)
    assert "\n" not in line


# One of two processes whose shares of a model are sharded as ``make_strategy`` would have it.
SHARDED = """
import os, sys, torch
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from builders.trained import random_model
from valm.models.trunk import Block, TrunkConfig

class Loss(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model
    def forward(self, ids):
        return self.model.loss(ids, ids.roll(1, dims=1))

model = Loss(random_model(TrunkConfig(3, 16, 2, 8), "none", {}, 50, 0).train())
ids = torch.arange(32).view(4, 8) * 7 % 50
if len(sys.argv) > 1:
    rank = int(os.environ["RANK"])
    torch.distributed.init_process_group("gloo")
    model = FullyShardedDataParallel(
        model, auto_wrap_policy=ModuleWrapPolicy({Block}), use_orig_params=True,
        device_id=torch.device("cpu"))
    ids = ids[2 * rank : 2 * rank + 2]
loss = model(ids)
loss.backward()
clip = getattr(model, "clip_grad_norm_", None)
norm = clip(1.0) if clip else torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
print(float(loss.detach()), float(norm))
"""


@pytest.mark.slow
def test_sharded_blocks_give_the_gradient_of_the_whole_model() -> None:
    """torch's FSDP itself on two CPU processes, without Lightning, which refuses it there."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": free_port()}
    paths = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    shared |= {"WORLD_SIZE": "2", "PYTHONPATH": os.pathsep.join(paths)}
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SHARDED, *arguments],
            stdout=subprocess.PIPE, text=True, env=os.environ | shared | {"RANK": rank},
        )
        for rank, arguments in (("0", []), ("0", ["sharded"]), ("1", ["sharded"]))
    ]  # fmt: skip
    whole, first, second = (list(map(float, run.communicate()[0].split())) for run in runs)
    assert (first[0] + second[0]) / 2 == pytest.approx(whole[0], rel=1e-5)
    assert first[1] == pytest.approx(whole[1], rel=1e-5)
    assert second[1] == pytest.approx(whole[1], rel=1e-5)


def test_a_killed_training_with_fsdp_does_not_pretend_to_go_on(tmp_path: Path) -> None:
    blocks = Blocks(torch.arange(100).numpy() % 50, context_tokens=8)
    settings = parse_study({"train": {"devices": {"strategy": "fsdp"}}}).train
    model = random_model(TrunkConfig(3, 16, 2, 8), "none", {}, 50, 0)
    checkpoint = tmp_path / "checkpoints" / "step-00000004"
    with pytest.raises(ResumeError, match=r"fsdp cannot go on.*step-00000004.*begin anew"):
        run_training(
            Training(model, settings, 1, blocks, blocks), "x", tmp_path, tmp_path, Process(rank=0),
            checkpoint,
        )  # fmt: skip
