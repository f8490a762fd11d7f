"""Schedules in closed form, the order of batches, damaged state, cut-off histories."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from valm.config.phases import Optimiser
from valm.errors import IntegrityError
from valm.models.pictures import standardise
from valm.retrieve.given import Given
from valm.train.batches import Blocks, blocks_of_step, ordered_batches, shuffled_batches
from valm.train.checkpoint import newest_checkpoint
from valm.train.metrics import Line, append_line, forget_after, read_lines
from valm.train.optimiser import learning_rate_factor
from valm.train.state_files import load_state, save_state


def test_cosine_schedule() -> None:
    factor = learning_rate_factor(Optimiser(warmup_steps=10, schedule="cosine"), steps=110)
    assert [factor(s) for s in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert factor(59) == pytest.approx(0.55)
    assert factor(34) == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi / 4)))
    assert factor(109) == pytest.approx(0.1)


def test_inverse_square_root_schedule() -> None:
    """VALM.md 5: 5e-4 sqrt(4000 / t) after 4,000 steps, 4.5e-5 at 500,000."""
    settings = Optimiser(warmup_steps=4000, schedule="inverse_sqrt", learning_rate=5e-4)
    factor = learning_rate_factor(settings, steps=500_000)
    assert factor(1999) == pytest.approx(0.5)
    assert factor(3999) == factor(4000 - 1) == 1.0
    assert 5e-4 * factor(499_999) == pytest.approx(4.47e-5, rel=1e-3)


def test_each_pass_sees_each_block_once_and_any_step_can_be_the_first() -> None:
    steps = [blocks_of_step(10, 4, seed=3, step=s) for s in range(5)]
    passes = np.concatenate(steps).reshape(2, 10)
    assert all(sorted(order) == list(range(10)) for order in passes.tolist())
    assert not np.array_equal(*passes)
    assert not np.array_equal(blocks_of_step(10, 4, seed=4, step=0), steps[0])
    blocks = Blocks(np.arange(100, dtype=np.uint16), context_tokens=9)
    whole, later = shuffled_batches(blocks, 2, 3, 0), shuffled_batches(blocks, 2, 3, 2)
    next(whole), next(whole)
    for _ in range(4):
        assert torch.equal(next(whole).ids, next(later).ids)


def test_a_batch_holds_the_next_tokens_and_the_pictures_of_those_read() -> None:
    tokens = np.arange(32, dtype=np.uint32)
    ids = np.stack([tokens, tokens + 100], axis=1).astype(np.int32)
    given = Given(mask=ids >= 0, ids=ids)
    blocks = Blocks(tokens, 5, given, table=torch.zeros(200, 3))
    assert len(blocks) == 6  # 31 tokens are predicted from one before them
    (batch,) = ordered_batches(blocks, count=6, per_batch=8)
    assert torch.equal(batch.targets, batch.ids + 1)
    assert batch.ids.flatten().tolist() == list(range(30))
    assert batch.pictures is not None
    assert batch.pictures.ids is not None
    assert torch.equal(batch.pictures.ids[..., 1] - 100, batch.ids)


def test_a_table_on_the_disk_gives_the_same_pictures_as_one_in_memory() -> None:
    values = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float16)
    given = Given(mask=np.ones((20, 2), bool), ids=np.arange(40).reshape(20, 2) % 9)
    tables = (values, standardise(torch.from_numpy(values)))
    mapped, kept = (Blocks(np.zeros(20, int), 6, given, t).batch(np.array([2, 0])) for t in tables)
    assert mapped.pictures is not None
    assert kept.pictures is not None
    there, here = mapped.pictures.standard_values(), kept.pictures.standard_values()
    assert torch.equal(there, here)


def state() -> dict[str, object]:
    return {
        "numbers": {0: torch.arange(3), 7: torch.tensor(1.5)},
        "list": [1, 0.1, "é", None, True, (2, torch.zeros(0))],
        "$odd": {"key": 1e-300},
    }


def test_state_comes_back_as_it_was(tmp_path: Path) -> None:
    save_state(tmp_path / "s", state())
    back = load_state(tmp_path / "s")
    assert torch.equal(back["numbers"][0], torch.arange(3))
    assert float(back["numbers"][7]) == 1.5
    assert back["list"][:5] == [1, 0.1, "é", None, True]
    assert back["$odd"] == {"key": 1e-300}
    with pytest.raises(TypeError, match="Path"):
        save_state(tmp_path / "t", {"path": tmp_path})


@pytest.mark.parametrize("damage", ["cut tensors", "flip tensors", "cut json", "edit json", "gone"])
def test_damaged_state_is_told_from_whole(tmp_path: Path, damage: str) -> None:
    for step in (4, 8):
        save_state(tmp_path / f"step-{step:08d}", state())
    folder = tmp_path / "step-00000008"
    kind, what = damage.partition(" ")[::2]
    file = folder / ("tensors.safetensors" if what == "tensors" else "state.json")
    data = bytearray(file.read_bytes())
    match kind:
        case "cut":
            file.write_bytes(data[: len(data) // 2])
        case "flip":
            data[-1] ^= 1
            file.write_bytes(data)
        case "edit":
            file.write_bytes(data.replace(b"0.1", b"0.2"))
        case "gone":
            file.unlink()
    with pytest.raises(IntegrityError):
        load_state(folder)
    assert newest_checkpoint(tmp_path) == tmp_path / "step-00000004"


def test_a_cut_off_history_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    forget_after(file, 0)
    for step in (2, 4, 6):
        append_line(file, Line(step, step, 1.0, None, 0.1, 1.0, 1.0, 1))
    with file.open("a") as lines:
        lines.write('{"step": 8, "tok')
    assert [line.step for line in read_lines(file)] == [2, 4, 6]
    forget_after(file, 4)
    assert [json.loads(text)["step"] for text in file.read_text().splitlines()] == [2, 4]
