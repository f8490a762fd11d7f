"""Manifests say what an artifact is; damage, forgery and another kind are refused."""

from pathlib import Path

import pytest

from valm.core.job import Job
from valm.core.manifest import check_parents, read_manifest, verify_files
from valm.errors import InputError, IntegrityError

JOB = Job("write-tokens", {"seed": 1}, code="c0de", choices={"split": "train"})


def finish(folder: Path, name: str = "tokens", **extra: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / f"{name}.bin"
    data.write_bytes(b"\x01\x02")
    manifest = folder / f"{name}.manifest.json"
    JOB.finish(manifest, kind="tokens", rows=1, files=[data], **extra)  # type: ignore[arg-type]
    return manifest


def test_equal_work_gives_equal_bytes(tmp_path: Path) -> None:
    first, second = finish(tmp_path / "a"), finish(tmp_path / "b")
    assert first.read_bytes() == second.read_bytes()


def test_a_flipped_bit_and_a_missing_file_are_found(tmp_path: Path) -> None:
    manifest = finish(tmp_path)
    verify_files(manifest)
    (tmp_path / "tokens.bin").write_bytes(b"\x01\x03")
    with pytest.raises(IntegrityError, match="differs"):
        verify_files(manifest)
    (tmp_path / "tokens.bin").unlink()
    with pytest.raises(IntegrityError, match="missing"):
        verify_files(manifest)


@pytest.mark.parametrize("text", ["{}", "[]", "not json", '{"kind": 1}', "\x00"])
def test_malformed_manifests_are_input_errors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.manifest.json"
    path.write_text(text)
    with pytest.raises(InputError, match="malformed"):
        read_manifest(path)


def test_kind_size_and_absence_are_checked(tmp_path: Path) -> None:
    manifest = finish(tmp_path)
    with pytest.raises(InputError, match="'vectors'"):
        read_manifest(manifest, kind="vectors")
    with pytest.raises(InputError, match="missing"):
        read_manifest(tmp_path / "no.manifest.json")
    manifest.write_bytes(b" " * (2 << 20))
    with pytest.raises(InputError, match="larger"):
        read_manifest(manifest)


def test_a_changed_parent_changes_the_fingerprint(tmp_path: Path) -> None:
    parent = finish(tmp_path / "a")
    before = JOB.fingerprint([parent])
    child = finish(tmp_path / "b", "child", parents=[parent])
    assert read_manifest(child).parents == {
        "../a/tokens.manifest.json": read_manifest(parent).digest
    }
    finish(tmp_path / "a", facts={"note": "other"})
    assert JOB.fingerprint([parent]) != before


def test_a_mix_of_old_and_new_is_found(tmp_path: Path) -> None:
    parent = finish(tmp_path / "a")
    child = finish(tmp_path / "b", "child", parents=[parent])
    check_parents(child)
    finish(tmp_path / "a", facts={"note": "made again"})
    with pytest.raises(IntegrityError, match="made from another"):
        check_parents(child)
    parent.unlink()  # not fetched: nothing can be said
    check_parents(child)
