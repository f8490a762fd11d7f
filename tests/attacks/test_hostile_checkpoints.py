"""A checkpoint of fairseq is a pickle from a stranger: nothing in it runs, and nothing in it grows."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from builders.fairseq_models import checkpoint, tensors, write_checkpoint

from valm.errors import InputError
from valm.export.convert import convert
from valm.export.fairseq_checkpoint import read_checkpoint


class Bomb:
    """Makes a file when it is unpickled, by the call that it names."""

    def __init__(self, call: Any, *arguments: Any):
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


class StatefulBomb(argparse.Namespace):
    """A settings object of another class, whose state is set by a method of its own."""

    def __setstate__(self, state: Any) -> None:
        Path(state["target"]).touch()


def bombs(target: Path) -> dict[str, Any]:
    """Objects that would make a file, each by another way into the interpreter."""
    stateful = StatefulBomb()
    stateful.target = str(target)
    return {
        "os": Bomb(os.system, f"touch {target}"),
        "eval": Bomb(eval, f"open({str(target)!r}, 'w')"),
        "open": Bomb(open, str(target), "w"),
        "load": Bomb(pickle.loads, pickle.dumps(Bomb(os.system, f"touch {target}"))),
        "state": stateful,
        "in settings": argparse.Namespace(model=Bomb(os.system, f"touch {target}")),
        "dict": OrderedDict(x=Bomb(os.mkdir, str(target))),
    }


@pytest.mark.parametrize("kind", sorted(bombs(Path("x"))))
@pytest.mark.parametrize("place", ["cfg", "args", "model", "extra_state"])
def test_code_in_a_checkpoint_does_not_run_and_is_named(
    tmp_path: Path, kind: str, place: str
) -> None:
    target = tmp_path / "ran"
    data = checkpoint(tensors(joint=False)) | {place: bombs(target)[kind]}
    file = write_checkpoint(tmp_path / "a.pt", data)
    with pytest.raises(InputError, match=r"is not run: .*\w\.\w+.*\['?.*a\.pt") as error:
        convert(checkpoint=file, output=tmp_path / "out")
    assert "'model' and 'cfg' alone" in str(error.value)
    assert not target.exists() and not (tmp_path / "out").exists()


def test_the_bombs_are_real(tmp_path: Path) -> None:
    """Without the restricted reader each of them would go off."""
    for number, kind in enumerate(sorted(bombs(tmp_path))):
        target = tmp_path / str(number)
        file = write_checkpoint(tmp_path / "a.pt", bombs(target)[kind])
        torch.load(file, weights_only=False)
        assert target.exists(), kind


def test_settings_are_values_and_nothing_else(tmp_path: Path) -> None:
    """What fairseq keeps is read; an attribute that shadows a method is only a value."""
    settings = argparse.Namespace(decoder_attention_heads=2, items="y", nested={"a": 1})
    vars(settings)["__class__"] = "x"
    data = checkpoint({"decoder.version": torch.ones(1)}) | {"cfg": {"model": settings}}
    read = read_checkpoint(write_checkpoint(tmp_path / "a.pt", data))
    assert read.settings == {"decoder_attention_heads": 2, "__class__": "x", "items": "y", "a": 1}


def test_archives_that_are_none_of_torchs_are_refused(tmp_path: Path) -> None:
    good = write_checkpoint(tmp_path / "good.pt", checkpoint(tensors(joint=False)))
    whole = good.read_bytes()
    target = tmp_path / "ran"
    bad: dict[str, bytes] = {
        "pickle": pickle.dumps(Bomb(os.system, f"touch {target}")),
        "empty": b"",
        "text": b"hello",
        "cut off": whole[: len(whole) // 2],
        "noise": whole[:5000] + bytes(500) + whole[5500:],
    }
    legacy = tmp_path / "legacy.pt"
    torch.save(
        {"model": Bomb(os.system, f"touch {target}")}, legacy, _use_new_zipfile_serialization=False
    )
    bad["legacy"] = legacy.read_bytes()
    squeezed = tmp_path / "squeezed.pt"
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(squeezed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member.filename))
        new.writestr("archive/data/99", bytes(50_000_000))
    bad["squeezed"] = squeezed.read_bytes()
    for name, data in bad.items():
        file = tmp_path / "bad.pt"
        file.write_bytes(data)
        with pytest.raises(InputError, match=r"bad\.pt"):
            read_checkpoint(file)
        assert not target.exists(), name
    with pytest.raises(InputError, match="missing"):
        read_checkpoint(tmp_path / "none.pt")


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    small = torch.zeros(1)
    memory = torch.zeros(20_000)
    cases: dict[str, Any] = {
        "not stored as it is": {"decoder.embed_tokens.weight": small.expand(49_412, 1 << 20)},
        "larger than the file": {f"decoder.{i}": memory for i in range(5_000)},
        "is no tensor": {"decoder.embed_tokens.weight": [1.0, 2.0]},
        "no 'model'": None,
    }
    for message, model in cases.items():
        file = write_checkpoint(tmp_path / "a.pt", {"model": model, "cfg": None})
        with pytest.raises(InputError, match=message):
            read_checkpoint(file)
    sparse = {"x": torch.eye(3).to_sparse()}
    with pytest.raises(InputError, match="not stored as it is"):
        read_checkpoint(write_checkpoint(tmp_path / "a.pt", {"model": sparse}))
