"""Schedules in closed form, the order of batches, damaged state, cut-off histories."""

from __future__ import annotations

import csv
import json
import math
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from builders.streams import make_streams

from valm.config.models import Variant
from valm.config.train import Optimiser
from valm.core.atomic import require_writable, write_json
from valm.errors import ConfigError, InputError, IntegrityError, ResumeError, SpaceError
from valm.models.pictures import standardise
from valm.retrieve.given import Given
from valm.retrieve.showable import Showable
from valm.train.batches import Blocks, blocks_of_step, ordered_batches, prefetched, shuffled_batches
from valm.train.checkpoint import newest_checkpoint
from valm.train.curves import Curves, Table, TensorBoard, Tracking
from valm.train.inputs import open_given
from valm.train.metrics import Line, append_line, go_on_after, read_lines
from valm.train.optimiser import learning_rate_factor
from valm.train.resumption import checkpoint_to_go_on_from, record_in, tell_of_unfinished
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


def test_a_thread_prepares_the_same_batches_in_the_same_order() -> None:
    blocks = Blocks(np.arange(100, dtype=np.uint16), context_tokens=9)
    plain = shuffled_batches(blocks, 2, 3, 5)
    ahead = prefetched(shuffled_batches(blocks, 2, 3, 5), prepare=lambda batch: batch)
    for _ in range(12):
        assert torch.equal(next(plain).ids, next(ahead).ids)


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


def test_a_variant_may_read_fewer_pictures_than_were_found_and_no_more(tmp_path: Path) -> None:
    manifest = make_streams(tmp_path, top_k=3).pictures.neighbours["train"]
    valm, pictures = Variant(name="valm", pictures="retrieved"), Showable(20)
    whole = open_given(manifest, "train", valm, pictures, seed=1)
    part = open_given(manifest, "train", valm.model_copy(update={"top_k": 2}), pictures, seed=1)
    assert np.array_equal(part.mask, whole.mask[:, :2]) and part.mask.shape[1] == 2
    assert part.ids is not None and whole.ids is not None
    assert np.array_equal(part.ids, whole.ids[:, :2])
    with pytest.raises(InputError, match=r"'valm' reads 4 pictures a token, 3 are found"):
        open_given(manifest, "train", valm.model_copy(update={"top_k": 4}), pictures, seed=1)


def test_a_table_on_the_disk_gives_the_same_pictures_as_one_in_memory() -> None:
    values = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float16)
    given = Given(mask=np.ones((20, 2), bool), ids=np.arange(40).reshape(20, 2) % 9)
    tables = (values, standardise(torch.from_numpy(values)))
    mapped, kept = (
        next(Blocks(np.zeros(20, int), 6, given, table=t).batches(iter([np.array([2, 0])])))
        for t in tables
    )
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
    go_on_after(0, file, file)
    for step in (2, 4, 6):
        append_line(file, Line(step, step, 1.0, None, 0.1, 1.0, 1.0, 1))
    with file.open("a") as lines:
        lines.write('{"step": 8, "tok')
    assert [line.step for line in read_lines(file)] == [2, 4, 6]
    go_on_after(4, file, file)
    assert [json.loads(text)["step"] for text in file.read_text().splitlines()] == [2, 4]


def test_a_full_disk_is_told_before_writing_and_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_state(tmp_path / "step-00000004", state())
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(9000, 8000, 1000))
    big = {"weights": torch.zeros(1000, 1000)}
    with pytest.raises(SpaceError, match="bytes are missing") as told:
        save_state(tmp_path / "step-00000008", big)
    missing = int(str(told.value).split(" bytes are missing")[0].split()[-1].replace(",", ""))
    assert missing >= 4_000_000 - 1000
    assert newest_checkpoint(tmp_path) == tmp_path / "step-00000004"
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000004"]


def test_a_write_that_the_system_cuts_off_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    """A quota that the free space does not show, here a limit on the size of files."""
    save_state(tmp_path / "step-00000004", state())
    code = (
        "import sys, torch, resource; from pathlib import Path; from valm.errors import SpaceError\n"
        "from valm.train.state_files import save_state\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "try: save_state(Path(sys.argv[1]), {'weights': torch.zeros(1 << 20)})\n"
        "except SpaceError as error: sys.exit(error.exit_code)\n"
    )
    target = tmp_path / "step-00000008"
    child = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert child.returncode == 6
    assert newest_checkpoint(tmp_path) == tmp_path / "step-00000004"
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000004"]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"nothing can be written here.*file/out"):
        require_writable(tmp_path / "file" / "out")
    require_writable(tmp_path / "a" / "b")
    assert not list((tmp_path / "a" / "b").iterdir())


NOTE: dict[str, dict[str, object]] = {
    "section": {"train": {"steps": 12, "optimiser": {"betas": [0.9, 0.98]}}},
    "choices": {"model": "valm", "seed": 1},
    "modules": {"valm.train.fit": "c0de"},
    "parents": {"some/where/tokens.manifest.json": "d1"},
}


def note_in(folder: Path, part: str = "section", **changed: object) -> Path:
    """A work folder whose job differs in some keys of a part of its note."""
    folder.mkdir(exist_ok=True)
    write_json(folder / "job.json", NOTE | {part: NOTE[part] | changed})
    return folder


def test_going_on_from_another_folder_needs_the_same_keys(tmp_path: Path) -> None:
    folder, work = tmp_path / "theirs", note_in(tmp_path / "ours")
    folder.mkdir()

    def found() -> Path | None:
        return checkpoint_to_go_on_from(work, folder, record_in(work))

    with pytest.raises(ResumeError, match=r"job\.json cannot be read"):
        found()
    note_in(folder)
    with pytest.raises(ResumeError, match="no whole checkpoint"):
        found()
    save_state(folder / "checkpoints" / "step-00000004", state())
    changed: dict[str, tuple[str, dict[str, object]]] = {
        r"train\.steps was 12, is 60": ("section", {"train": {"steps": 60}}),
        r"--seed was 1, is 2": ("choices", {"seed": 2}),
        r"code valm\.train\.fit was c0de, is n3w": ("modules", {"valm.train.fit": "n3w"}),
        r"input tokens\.manifest\.json was d1, is d2": ("parents", {"tokens.manifest.json": "d2"}),
    }
    for told, (part, change) in changed.items():
        note_in(work, part, **change)
        with pytest.raises(ResumeError, match=told):
            found()
    note_in(work)
    assert found() == folder / "checkpoints" / "step-00000004"
    for step in (4, 8):  # what this training itself has come to is no older
        own = work / "checkpoints" / f"step-{step:08d}"
        save_state(own, state())
        assert found() == own


def test_unfinished_work_under_other_keys_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save_state(note_in(tmp_path / "old") / "checkpoints" / "step-00000008", state())
    save_state(tmp_path / "nameless" / "checkpoints" / "step-00000008", state())
    with caplog.at_level("INFO", "valm"):
        new = note_in(tmp_path / "new", "choices", seed=2)
        tell_of_unfinished(new, record_in(new))
        assert not caplog.text
        new = note_in(tmp_path / "new", train={"steps": 60})
        tell_of_unfinished(new, record_in(new))
    assert "at step 8" in caplog.text
    assert "train.steps was 12, is 60" in caplog.text


def lines(*steps: int) -> list[Line]:
    return [Line(s, 10 * s, 1 / s, 2.0 if s > 2 else None, 0.1, 5.0, 1.0, 1) for s in steps]


def test_curves_show_the_whole_history_after_going_on(tmp_path: Path) -> None:
    for history, new in (((), (1, 2, 3)), ((1, 2), (3, 4))):
        sinks = Table(tmp_path), TensorBoard(tmp_path)
        with Curves(sinks, lines(*history)) as curves:
            for line in lines(*new):
                curves.add(line)
    rows = list(csv.DictReader((tmp_path / "metrics.csv").open()))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["valid_loss"] for row in rows] == ["", "", "2.0", "2.0"]
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Scalars("valid_loss")] == [3, 4]


def test_a_tracking_service_gets_every_line_or_is_named_as_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[object] = []
    service = SimpleNamespace(
        init=lambda **what: calls.append(what["name"]),
        log=lambda numbers, step: calls.append((step, numbers["loss"], "valid_loss" in numbers)),
        finish=lambda: calls.append("finished"),
    )
    monkeypatch.setitem(sys.modules, "trackio", service)
    with Curves([Tracking("trackio", "valm, seed 1", {})], lines(1)) as curves:
        curves.add(lines(4)[0])
    assert calls == ["valm, seed 1", (1, 1.0, False), (4, 0.25, True), "finished"]
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(ConfigError, match=r"'trackio' is not installed.*train\.tracking"):
        Tracking("trackio", "valm", {})
