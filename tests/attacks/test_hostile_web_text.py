"""Hostile web text: every damaged document has its reason, every damaged file its offset, in little memory."""

import gzip
import io
import lzma
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from builders.web_texts import made_documents, packed_documents, write_web_file, write_web_text

from valm.core.manifest import read_manifest
from valm.errors import InputError, SourceError
from valm.ingest.text.documents import read_documents

GOOD = [document.encode() for document in made_documents(40)]


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))


def counts_of(manifest: Path) -> dict[str, Any]:
    counts: dict[str, Any] = read_manifest(manifest).facts["counts"]
    reasons = [n for name in ("damaged", "left_out", "repeats") for n in counts[name].values()]
    assert counts["read"] == counts["not_sampled"] + counts["kept"] + sum(reasons)
    return counts


DAMAGED = {
    "latin-1": (b"caf\xe9 in latin-1", "not_utf8"),
    "cut": (b"cut \xe2\x82", "not_utf8"),
    "surrogate": (b"\xed\xa0\x80 a lone surrogate", "not_utf8"),
    "overlong": (b"\xc0\xaf an overlong slash", "not_utf8"),
    "nul": (b"zeros\0in it", "holds_nuls"),
    "line": (b"x" * 9_000_000, "too_long"),
}


@pytest.mark.parametrize("kind", [*DAMAGED, "lines"])
def test_a_damaged_document_is_rejected_under_its_reason(tmp_path: Path, kind: str) -> None:
    document, reason = (DAMAGED | {"lines": (b"line\n" * 1_700_000, "too_long")})[kind]
    file = write_web_file(tmp_path / "en.txt", b"\n\n".join([*GOOD[:20], document, *GOOD[20:]]))
    manifest = write_web_text(tmp_path, file)
    assert counts_of(manifest)["damaged"] == {reason: 1}
    assert read_manifest(manifest).rows == len(GOOD)


@pytest.mark.parametrize("kind", DAMAGED)
def test_under_parity_a_damaged_line_costs_its_block(tmp_path: Path, kind: str) -> None:
    document, reason = DAMAGED[kind]
    lines = [f"line {number} of {number * 7919 % 1000}".encode() for number in range(5000)]
    lines[2500] = document
    file = write_web_file(tmp_path / "en.txt", b"\n".join(lines) + b"\n")
    manifest = write_web_text(tmp_path, file, preset="parity")
    counts = counts_of(manifest)
    assert counts["damaged"] == {reason: 1} and counts["kept"] == 4 and counts["read"] == 5


def test_above_the_fraction_the_part_fails_and_names_file_offset_and_reasons(
    tmp_path: Path,
) -> None:
    data = b"\n\n".join([*GOOD, b"\xff", b"a\0b", b"\xfe"])
    file = write_web_file(tmp_path / "en.txt", data)
    first = data.index(b"\xff")
    message = rf"3 of 43 documents are damaged \(holds_nuls: 1, not_utf8: 2\), the first at offset {first:,}"
    with pytest.raises(InputError, match=message) as caught:
        write_web_text(tmp_path, file, maximum_reject_fraction=0.06)
    assert caught.value.where == file and not list(tmp_path.glob("cc100.*"))
    assert counts_of(write_web_text(tmp_path, file, maximum_reject_fraction=0.07))["kept"] == 40


def test_a_line_of_a_hundred_megabytes_costs_one_document_and_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "en.txt"
    with file.open("wb") as target:
        target.write(GOOD[0] + b"\n\n")
        for _ in range(100):
            target.write(b"word " * 200_000)
        target.write(b"\n\n" + GOOD[1])
    tracemalloc.start()
    manifest = write_web_text(tmp_path, file, maximum_reject_fraction=0.5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts_of(manifest)["damaged"] == {"too_long": 1}
    assert list(read_documents(tmp_path / "cc100.txt.xz")) == [d.decode() for d in GOOD[:2]]
    assert peak < 160 << 20


@pytest.mark.parametrize("ending", ["xz", "gz"])
def test_bombs_end_early_with_the_offset(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"en.{ending}"
    pack = {"xz": lzma.compress, "gz": gzip.compress}[ending]
    file.write_bytes(pack(b"\n\n".join(GOOD)) + pack(bytes(60_000_000)) * 20)
    tracemalloc.start()
    with pytest.raises(
        InputError, match=r"expands more than 200 times.* near byte [\d,]+"
    ) as caught:
        write_web_text(tmp_path, file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.where == file and peak < 160 << 20


@pytest.mark.parametrize("ending", ["xz", "gz"])
def test_a_file_cut_anywhere_or_with_any_byte_turned_is_an_error(
    tmp_path: Path, ending: str
) -> None:
    whole = packed_documents(tmp_path / f"en.{ending}", made_documents(30)).read_bytes()
    file = tmp_path / f"bad.{ending}"
    passed = 0
    for place in range(9, len(whole) - 1, max(1, len(whole) // 60)):
        file.write_bytes(whole[:place])
        try:
            write_web_text(tmp_path, file)
            passed += 1  # cut between its two members
        except InputError as error:
            assert "byte" in str(error) and file.name in str(error)
        turned = bytearray(whole)
        turned[place] ^= 0xFF
        file.write_bytes(turned)
        try:
            write_web_text(tmp_path, file)
            passed += ending == "xz"  # gzip's header has a time that nothing checks
        except InputError as error:
            assert "byte" in str(error)
    assert passed <= 1


def test_a_missing_and_an_empty_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing.*nowhere\.xz"):
        write_web_text(tmp_path, tmp_path / "nowhere.xz")
    with pytest.raises(SourceError, match="gave no document"):
        write_web_text(tmp_path, write_web_file(tmp_path / "en.txt", b"\n \n\n"))


def test_an_archive_is_one_damaged_document_and_nothing_is_unpacked(tmp_path: Path) -> None:
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("../../outside")
        info.size = 4
        tar.addfile(info, io.BytesIO(b"data"))
    file = write_web_file(tmp_path / "en.txt", buffer.getvalue())
    with pytest.raises(SourceError, match="gave no document"):
        write_web_text(tmp_path, file)
    assert not (tmp_path.parent / "outside").exists()
