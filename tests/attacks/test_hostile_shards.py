"""Tar shards and folders from outside: each fault has its reason code or its offset."""

import io
import json
import os
import pickle
import random
import struct
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders.pictures import drawing
from PIL import Image

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.core.manifest import Manifest, read_manifest
from valm.errors import InputError
from valm.ingest.pictures.shards import gather_pictures, write_picture_shard
from valm.ingest.pictures.tars import tar_pictures

Member = tuple[tarfile.TarInfo, bytes]


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "out" / "work"))


def member(name: str, data: bytes = b"", kind: bytes = tarfile.REGTYPE, link: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, len(data)
    return info, data


def sample(key: str, data: bytes | None = None, caption: str = "a thing") -> list[Member]:
    picture = drawing(int(key)) if data is None else data
    return [member(f"{key}.png", picture), member(f"{key}.txt", caption.encode())]


def tar_of(path: Path, *members: Member) -> Path:
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def shard_job(source: str, storage: dict[str, Any], **params: Any) -> Job:
    pictures = {
        "sources": [source],
        "params": {source: params},
        "storage": {"side_pixels": 32} | storage,
    }
    study = parse_study({"ingest": {"pictures": pictures}})
    choices: dict[str, str | int] = {"source": source, "shard": 0}
    return Job(
        "write-picture-shard", section_for(study, "write-picture-shard", **choices), "c0de", choices
    )


def written(path: Path, most: float = 0.9) -> Manifest:
    """The shard made of a tar."""
    output = path.parent / "out" / "00000.manifest.json"
    job = shard_job("webdataset_tars", {"maximum_reject_fraction": most}, files=[str(path)])
    write_picture_shard(job, source="webdataset_tars", shard=0, downloaded=None, output=output)
    return read_manifest(output)


@pytest.mark.parametrize(
    "hostile, reason",
    [
        ([member("/etc/000000009.png", drawing(9))], "unsafe_name"),
        ([member("../../000000009.png", drawing(9))], "unsafe_name"),
        ([member("000000009.png", b"", tarfile.SYMTYPE, "/etc/passwd")], "not_a_file"),
        ([member("000000009.png", b"", tarfile.LNKTYPE, "0.png")], "not_a_file"),
        ([member("000000009.png", b"", tarfile.CHRTYPE)], "not_a_file"),
        ([member("000000009.png", b"", tarfile.BLKTYPE)], "not_a_file"),
        ([member("000000009.png", b"", tarfile.FIFOTYPE)], "not_a_file"),
        (sample("000000001"), "duplicate_name"),
        ([member("000000009.txt", b"no picture")], "no_picture"),
        ([member("000000009.exe", b"MZ")], "no_picture"),
        ([member("000000009.png", drawing(9))], "no_caption"),
        ([member("000000009.png", bytes((32 << 20) + 1))], "too_many_bytes"),
        ([*sample("000000009"), member("000000009.json", b" " * ((1 << 20) + 1))], "too_many_bytes"),
        (sample("000000009", b"<!doctype html><p>Gone"), "not_a_picture"),
        (sample("000000009", drawing(9)[:200]), "damaged"),
    ],
)  # fmt: skip
def test_a_hostile_sample_is_rejected_under_its_reason_and_the_others_stay(
    tmp_path: Path, hostile: list[Member], reason: str
) -> None:
    good = [m for key in range(3) for m in sample(f"{key:09d}")]
    made = written(tar_of(tmp_path / "a.tar", *good, *hostile))
    assert made.facts["rejected"] == {reason: 1} and made.rows == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar", "out"]
    assert not (tmp_path.parent / "000000009.png").exists()


def test_facts_of_a_sample_may_be_anything(tmp_path: Path) -> None:
    deep = b"[" * 200_000
    facts = [deep, b"\xff", b"[]", b'{"caption": 7, "url": ["x"], "licence": {}}', b"null", b"NaN"]
    members = [
        m
        for n, data in enumerate(facts)
        for m in (*sample(f"{n:09d}"), member(f"{n:09d}.json", data))
    ]
    named = {"caption": "from facts", "licence": "CC0", "url": "http://a/b.png"}
    members += [
        member("000000009.png", drawing(9)),
        member("000000009.json", json.dumps(named).encode()),
    ]
    rejected: Counter[str] = Counter()
    found = list(tar_pictures(tar_of(tmp_path / "a.tar", *members), "unknown", rejected))
    assert not rejected and [p.licence for p in found] == ["unknown"] * 6 + ["CC0"]
    assert found[-1].captions == ("from facts",) and found[-1].origin == "http://a/b.png"


def test_a_tar_cut_at_any_block_is_an_error_with_its_offset(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "a.tar", *(m for key in range(3) for m in sample(f"{key:09d}")))
    data = path.read_bytes()
    end = len(data.rstrip(b"\0")) // 512 * 512 + 512
    for length in range(0, end, 512):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"a\.tar near byte [\d,]+"):
            list(tar_pictures(path, "", Counter()))
    path.write_bytes(data[: end + 512])
    assert len(list(tar_pictures(path, "", Counter()))) == 3


def test_lying_sizes_and_broken_headers_are_errors(tmp_path: Path) -> None:
    whole = tar_of(tmp_path / "a.tar", *sample("000000001"), *sample("000000002")).read_bytes()

    def with_size(size: bytes) -> bytes:
        tar = bytearray(whole)
        tar[124:136] = size
        tar[148:156] = b" " * 8
        tar[148:156] = b"%06o\0 " % sum(tar[:512])
        return bytes(tar)

    lies = [
        b"77777777777\0",
        b"\xff" * 12,
        b"\x80" + b"\0" * 7 + b"\x7f\xff\xff\xff",
    ]
    for size in lies:
        (tmp_path / "b.tar").write_bytes(with_size(size))
        with pytest.raises(InputError, match="near byte"):
            list(tar_pictures(tmp_path / "b.tar", "", Counter()))
    (tmp_path / "b.tar").write_bytes(with_size(b"00000000007\0"))
    assert written(tmp_path / "b.tar").facts["rejected"] == {"not_a_picture": 1}
    for junk in (b"", b"<html>", b"PK\x03\x04" * 300, os.urandom(2048)):
        (tmp_path / "b.tar").write_bytes(junk)
        with pytest.raises(InputError, match="near byte"):
            list(tar_pictures(tmp_path / "b.tar", "", Counter()))


def test_a_bomb_is_stopped_from_its_header(tmp_path: Path) -> None:
    import zlib

    data = bytearray(drawing(1))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    path = tar_of(tmp_path / "a.tar", *sample("000000000"), *sample("000000001", bytes(data)))
    assert written(path).facts["rejected"] == {"too_large": 1}


def pictures_of_every_kind() -> dict[str, bytes]:
    base = Image.radial_gradient("L").resize((48, 48)).convert("RGB")
    made = {
        "palette": (base.convert("P"), {"format": "PNG"}),
        "sixteen": (
            base.convert("L").convert("I").point(lambda v: v * 257).convert("I;16"),
            {"format": "PNG"},
        ),
        "cmyk": (base.convert("CMYK"), {"format": "JPEG"}),
        "animated_gif": (
            base,
            {"format": "GIF", "save_all": True, "append_images": [base.rotate(90)]},
        ),
        "animated_webp": (
            base,
            {"format": "WEBP", "save_all": True, "append_images": [base.rotate(90)]},
        ),
        "grey": (base.convert("LA"), {"format": "PNG"}),
    }
    found = {}
    for name, (image, how) in made.items():
        buffer = io.BytesIO()
        image.save(buffer, **how)
        found[name] = buffer.getvalue()
    return found


def test_every_kind_of_picture_becomes_one_eight_bit_picture(tmp_path: Path) -> None:
    kinds = pictures_of_every_kind()
    members = [
        m
        for n, data in enumerate(kinds.values())
        for m in (member(f"{n:09d}.jpg", data), member(f"{n:09d}.txt", b"x"))
    ]
    made = written(tar_of(tmp_path / "a.tar", *members))
    assert made.rows == len(kinds) and not made.facts["rejected"]
    with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
        for info in tar:
            file = tar.extractfile(info)
            assert file is not None
            if info.name.endswith(".png"):
                image = Image.open(io.BytesIO(file.read()))
                assert image.mode in ("RGB", "RGBA") and getattr(image, "n_frames", 1) == 1


def test_above_the_fraction_the_shard_fails_and_writes_no_manifest(tmp_path: Path) -> None:
    members = [*sample("000000001"), *sample("000000002", b"<html>"), *sample("000000003", b"")]
    path = tar_of(tmp_path / "a.tar", *members)
    assert written(path, most=0.7).rows == 1
    (tmp_path / "out" / "00000.manifest.json").unlink()
    with pytest.raises(InputError, match=r"2 of 3 pictures could not be used: .*not_a_picture.: 2"):
        written(path, most=0.5)
    assert not (tmp_path / "out" / "00000.manifest.json").exists()


def test_one_damaged_picture_fails_no_shard_however_small(tmp_path: Path) -> None:
    made = written(tar_of(tmp_path / "a.tar", *sample("000000001", b"<html>")), most=0.0)
    assert made.rows == 0 and made.facts["rejected"] == {"not_a_picture": 1}


def test_of_any_mixture_all_samples_are_kept_or_rejected(tmp_path: Path) -> None:
    hostile = [drawing(9)[:200], b"", b"<html>", b"GIF89a", drawing(9) + b"tail"]
    draw = random.Random(4)
    for turn in range(12):
        count = draw.randint(1, 30)
        data = [draw.choice([None, *hostile]) for _ in range(count)]
        members = [m for n, each in enumerate(data) for m in sample(f"{n:09d}", each)]
        made = written(tar_of(tmp_path / f"{turn}" / "a.tar", *members), most=1.0)
        good = sum(each is None or each == hostile[-1] for each in data)
        assert made.rows == good and sum(made.facts["rejected"].values()) == count - good


class Touch:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_what_is_pickled_in_a_shard_stays_asleep(tmp_path: Path) -> None:
    alarm = pickle.dumps(Touch(tmp_path / "woken"))
    array = io.BytesIO()
    np.save(array, np.array([Touch(tmp_path / "woken")], object), allow_pickle=True)
    others = {"pkl": alarm, "pickle": alarm, "pyd": alarm, "pth": alarm, "npy": array.getvalue()}
    sleeping = [member(f"000000001.{ending}", data) for ending, data in others.items()]
    disguised = [*sample("000000002", alarm), member("000000003.json", alarm)]
    made = written(tar_of(tmp_path / "a.tar", *sample("000000001"), *sleeping, *disguised))
    assert made.rows == 1 and made.facts["rejected"] == {"not_a_picture": 1, "no_picture": 1}
    pickle.loads(alarm)
    assert (tmp_path / "woken").exists(), "the alarm is no alarm"


def test_a_folder_gives_its_plain_pictures_only(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for number, name in enumerate(
        ("a_red_ball.png", "b.png", "deep/c.png", "huge.png", "page.jpg")
    ):
        (folder / name).write_bytes(drawing(number))
    (folder / "b.txt").write_text("a bee\nin two lines")
    (folder / "page.jpg").write_bytes(b"<html>")
    with (folder / "huge.png").open("wb") as file:
        file.truncate((32 << 20) + 1)
    (folder / "link.png").symlink_to("/etc/passwd")
    (folder / "notes.md").write_text("no picture")
    os.mkfifo(folder / "pipe.png")
    (folder / "out").symlink_to(tmp_path)
    output = tmp_path / "made" / "00000.manifest.json"
    job = shard_job(
        "picture_folder", {"maximum_reject_fraction": 0.9}, folder=str(folder), licence="CC0"
    )
    write_picture_shard(job, source="picture_folder", shard=0, downloaded=None, output=output)
    made = read_manifest(output)
    assert made.facts["rejected"] == {"not_a_file": 2, "not_a_picture": 1, "too_many_bytes": 1}
    table = pq.read_table(output.with_name("00000.parquet"))
    assert table["origin"].to_pylist() == ["a_red_ball.png", "b.png", "deep/c.png"]
    assert table["caption"].to_pylist() == ["a red ball", "a bee in two lines", "c"]
    gathered = output.with_name("pictures.manifest.json")
    gather_pictures(
        Job("gather-pictures", {}, "c0de"), source="picture_folder", shards=1, output=gathered
    )
    assert (
        pq.read_table(output.with_name("shards.parquet"))["tar_sha256"][0].as_py()
        == made.files["00000.tar"].sha256
    )


@pytest.mark.parametrize(
    ("name", "facts", "origin", "licence"),
    [
        ("0", {"url": "http://x/\ud800"}, "http://x/?", ""),
        ("0", {"licence": "CC\udfff"}, "a.tar/0", "CC?"),
        ("a\udcff", {}, "a.tar/a?", ""),
    ],
)
def test_halves_of_characters_cost_no_picture(
    tmp_path: Path, name: str, facts: dict[str, str], origin: str, licence: str
) -> None:
    members = [member(f"{name}.png", drawing(1)), member(f"{name}.txt", b"a thing"),
               member(f"{name}.json", json.dumps(facts).encode())]  # fmt: skip
    made = written(tar_of(tmp_path / "a.tar", *members))
    assert made.rows == 1 and not made.facts["rejected"]
    row = pq.read_table(tmp_path / "out/00000.parquet").to_pylist()[0]
    assert (row["origin"], row["licence"]) == (origin, licence)


def test_a_picture_in_a_folder_may_have_any_name(tmp_path: Path) -> None:
    folder, output = tmp_path / "pictures", tmp_path / "made/00000.manifest.json"
    folder.mkdir()
    (folder / os.fsdecode(b"a\xff.png")).write_bytes(drawing(1))
    job = shard_job("picture_folder", {}, folder=str(folder))
    write_picture_shard(job, source="picture_folder", shard=0, downloaded=None, output=output)
    assert pq.read_table(output.with_name("00000.parquet"))["origin"].to_pylist() == ["a?.png"]


def test_a_folder_s_shards_hold_each_picture_once(tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.png").write_bytes(drawing(number))
    seen: list[str] = []
    for shard in range(4):
        output = tmp_path / "made" / f"{shard:05d}.manifest.json"
        job = shard_job("picture_folder", {}, folder=str(folder), shards=4)
        write_picture_shard(
            job, source="picture_folder", shard=shard, downloaded=None, output=output
        )
        seen += pq.read_table(output.with_name(f"{shard:05d}.parquet"))["origin"].to_pylist()
    assert sorted(seen) == sorted(f"{n}.png" for n in range(30))
