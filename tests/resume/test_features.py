"""Features of pictures: right by hand, and a killed run goes on and ends in the same bits."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from builders.pictures import drawn_list

from valm.core.job import Job
from valm.core.manifest import read_manifest, write_manifest
from valm.embed.features import extract as features
from valm.embed.features.extract import extract_features
from valm.embed.features.layout import FEATURE_WIDTH, NETWORK_WIDTH, PACKAGE, POOLED_WIDTH
from valm.embed.features.network import ARCHITECTURE
from valm.errors import SourceError
from valm.ingest.pictures.numbering import iterate_transparent_pictures
from valm.ingest.pictures.pixel_colours import colour_histogram


@pytest.fixture(autouse=True)
def small_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    monkeypatch.setattr(features, "PICTURES_PER_BLOCK", 3)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel with a random network's weights, and its source manifest."""
    folder = tmp_path_factory.mktemp("network")
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.save(timm.create_model(ARCHITECTURE, pretrained=False).state_dict(), buffer)
    wheel = folder / "network.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("models/weights.pth", buffer.getvalue())
    return _source(folder, available=True, path=str(wheel))


def _source(folder: Path, **facts: object) -> Path:
    path = folder / f"{PACKAGE}.manifest.json"
    write_manifest(
        path, kind="source", rows=1, files=[], producer="test", config_digest="", code_digest="",
        facts=facts,
    )  # fmt: skip
    return path


def _run(folder: Path, pictures: Path, network: Path) -> Path:
    section = {"embed.features": {"side_pixels": 64, "precision": "float32"}}
    output = folder / "features.manifest.json"
    job = Job("extract-features", section, "c0de")
    extract_features(job, pictures=pictures, raw=[network], output=output)
    return output


def test_a_killed_run_goes_on_and_ends_in_the_same_bits(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = drawn_list(tmp_path / "ingest", 8)
    whole = np.load(_run(tmp_path / "whole", pictures, network).with_name("features.npy"))

    monkeypatch.setenv("VALM_WORK", str(tmp_path / "other"))
    compute, seen = features.features_of, []

    def dies_at_the_third(*arguments: object) -> object:
        seen.append(arguments)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return compute(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(features, "features_of", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        _run(tmp_path / "again", pictures, network)
    assert not (tmp_path / "again" / "features.npy").exists()
    output = _run(tmp_path / "again", pictures, network)
    assert len(seen) == 4  # the two finished blocks of three are not done again
    assert np.array_equal(whole, np.load(output.with_name("features.npy"), allow_pickle=False))


def test_features_are_pooled_states_posterior_and_colours(tmp_path: Path, network: Path) -> None:
    pictures = drawn_list(tmp_path / "ingest", 4)
    output = _run(tmp_path / "features", pictures, network)
    rows = np.load(output.with_name("features.npy"), allow_pickle=False)
    assert rows.shape == (4, FEATURE_WIDTH) and rows.dtype == np.float16
    assert read_manifest(output, "features").rows == 4
    posterior = rows[:, POOLED_WIDTH:NETWORK_WIDTH].astype(np.float64) ** 2
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-2)
    for picture_id, image in iterate_transparent_pictures(pictures):
        wanted = colour_histogram(image)
        np.testing.assert_allclose(rows[picture_id, NETWORK_WIDTH:], wanted, atol=1e-3)


def test_without_the_network_the_cure_is_named(tmp_path: Path) -> None:
    pictures = drawn_list(tmp_path / "ingest", 2)
    missing = _source(tmp_path, available=False, path="")
    with pytest.raises(SourceError, match="fetch-source"):
        _run(tmp_path / "features", pictures, missing)
