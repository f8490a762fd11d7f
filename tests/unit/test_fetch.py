"""A raw source comes from the data folder, a mirror or its client, and every byte is verified."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.errors import IntegrityError, SourceError
from valm.ingest import clients, fetch
from valm.ingest.sources import LOCK, Source, load_sources, raw_path

JOB = Job("fetch-source", {}, "c0de")
DATA = b"picture, caption\n"
SHA256 = hashlib.sha256(DATA).hexdigest()


def source(**changes: object) -> Source:
    fields = {
        "name": "probe", "client": "url", "url": "https://example.org/data/probe.csv",
        "file": "probe.csv", "sha256": SHA256, "bytes": len(DATA), "licence": "CC0", "holds": "rows",
    }  # fmt: skip
    return Source.model_validate(fields | changes)


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    one = source()
    monkeypatch.setattr(fetch, "source_named", lambda name: one)
    return one


def run(folder: Path, mirror: Path | None = None, optional: bool = False) -> Path:
    output = folder / "probe.manifest.json"
    fetch.fetch_source(
        JOB, source="probe", data=folder / "data", mirror=mirror, optional=optional, output=output
    )
    return output


def mirrored(folder: Path, data: bytes = DATA) -> Path:
    file = folder / "mirror" / "example.org" / "data" / "probe.csv"
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    return folder / "mirror"


def test_a_mirror_serves_and_the_data_folder_is_kept(tmp_path: Path, pinned: Source) -> None:
    manifest = run(tmp_path, mirrored(tmp_path))
    assert raw_path(manifest) == tmp_path / "data" / "probe.csv"
    before = manifest.read_bytes()
    run(tmp_path, mirror=None)  # nothing to fetch: it is there
    assert manifest.read_bytes() == before


@pytest.mark.parametrize("wrong", [DATA[:-1], DATA + b"x", DATA[::-1]])
def test_wrong_bytes_in_a_mirror_are_refused_and_nothing_is_left(
    tmp_path: Path, pinned: Source, wrong: bytes
) -> None:
    with pytest.raises(IntegrityError) as caught:
        run(tmp_path, mirrored(tmp_path, wrong))
    assert caught.value.exit_code == 4
    assert not list((tmp_path / "data").iterdir()) and not list(tmp_path.glob("*.json"))


def test_wrong_bytes_in_the_data_folder_are_refused_and_kept(tmp_path: Path, pinned: Source) -> None:
    file = tmp_path / "data" / "probe.csv"
    file.parent.mkdir()
    file.write_bytes(DATA[::-1])
    with pytest.raises(IntegrityError, match="delete"):
        run(tmp_path, mirrored(tmp_path))
    assert file.read_bytes() == DATA[::-1]


def unreachable(*_: object, **__: object) -> None:
    raise SourceError("cannot be reached", cure="connect to the net")


def test_without_net_an_optional_source_is_recorded_and_another_fails(
    tmp_path: Path, pinned: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "download", unreachable)
    with pytest.raises(SourceError) as caught:
        run(tmp_path)
    assert caught.value.exit_code == 7
    manifest = run(tmp_path, optional=True)
    assert raw_path(manifest) is None
    assert "cannot be reached" in read_manifest(manifest).facts["reason"]


def test_what_only_a_mirror_has_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    one = source(url=None, mirror_path="derived/probe.csv")
    monkeypatch.setattr(fetch, "source_named", lambda name: one)
    with pytest.raises(SourceError, match="VALM_MIRROR"):
        run(tmp_path)


def test_a_failing_client_is_one_line_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr="noise\nE404 no such package")
    monkeypatch.setattr(clients.subprocess, "run", lambda *_, **__: failed)
    package = source(client="npm", package="nobody", version="1.0.0", url=None)
    with pytest.raises(SourceError, match="E404 no such package"):
        clients.fetch_package(package, tmp_path)


def test_without_npm_the_packaged_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.shutil, "which", lambda name: None)
    version = subprocess.run(
        [*clients.npm_command(), "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.strip()[0].isdigit()


def test_every_pinned_source_is_complete() -> None:
    sources = load_sources(LOCK)
    assert len(sources) > 20
    for one in sources.values():
        files = one.pinned_files()
        assert files and all(len(file.sha256) == 64 and file.bytes > 0 for file in files), one.name
        assert all(".." not in file.file and not file.file.startswith("/") for file in files)
        if one.client == "url":
            assert all(file.mirror_path for file in files), one.name
