"""Pictures in shards: LAION's layout, equal bytes for equal input, counts that add up."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders.pictures import drawing, drawn_list, raw_pictures

from valm.config.ingest import Duplicates
from valm.core.job import Job
from valm.core.manifest import read_manifest, verify_files
from valm.errors import InputError
from valm.ingest.picture_sources import RawPicture, noto_drawings
from valm.ingest.picture_sources import debian_clip_art as clip_art
from valm.ingest.picture_sources import debian_stamps as stamps
from valm.ingest.pictures import numbering
from valm.ingest.pictures.emoji import plain_name
from valm.ingest.pictures.numbering import (
    iterate_pictures,
    list_pictures,
    number_pictures,
    picture_bytes,
    read_picture_list,
)
from valm.ingest.pictures.write import write_shard


def test_shards_have_the_layout_of_img2dataset(tmp_path: Path) -> None:
    drawn_list(tmp_path, count=2)
    with tarfile.open(tmp_path / "drawn" / "00000.tar") as tar:
        assert tar.getnames() == [
            f"00000000{n}.{ending}" for n in range(2) for ending in ("png", "txt", "json")
        ]
        text, metadata = tar.extractfile("000000001.txt"), tar.extractfile("000000001.json")
        assert text is not None and metadata is not None
        assert text.read() == b"thing 1, drawn"
        assert json.load(metadata)["licence"] == "CC0"


def test_equal_pictures_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (drawn_list(tmp_path / name, count=3) for name in "ab")
    verify_files(first)
    assert first.read_bytes() == second.read_bytes()


def test_fewer_shards_leave_no_old_ones_behind(tmp_path: Path) -> None:
    drawn_list(tmp_path, count=5, samples_per_shard=2)
    assert len(list(tmp_path.rglob("*.tar"))) == 3
    manifest = drawn_list(tmp_path, count=5, samples_per_shard=4)
    assert len(list(tmp_path.rglob("*.tar"))) == len(list(tmp_path.rglob("0000?.parquet"))) == 2
    assert [number for number, _ in iterate_pictures(manifest)] == list(range(5))


def test_the_first_shard_counts_like_any_other(tmp_path: Path) -> None:
    """The official scripts begin at tar 1."""
    manifest = drawn_list(tmp_path, count=5, samples_per_shard=2)
    table = read_picture_list(manifest)
    assert table.column("shard").to_pylist() == ["00000", "00000", "00001", "00001", "00002"]
    assert table.column("id").to_pylist() == [0, 1, 2, 3, 4]
    assert set(picture_bytes(manifest, [0, 1])) == {0, 1}


def test_ids_count_kept_pictures_and_duplicates_name_what_they_repeat(tmp_path: Path) -> None:
    once = raw_pictures(3)
    again = RawPicture(drawing(1), "twin", ("twin",), "twin")
    broken = RawPicture(b"no picture", "x", ("x",), "x")
    manifest = drawn_list(tmp_path, 0, [once[0], once[1], broken, again, once[2]])
    table = read_picture_list(manifest)
    assert table.column("id").to_pylist() == [0, 1, -1, 2]
    assert table.column("duplicate_of").to_pylist() == [-1, -1, 1, -1]
    shards = read_manifest(tmp_path / "drawn" / "pictures.manifest.json")
    assert shards.rows == 4 and shards.facts["rejected"] == {"not_a_picture": 1}
    facts = read_manifest(manifest)
    assert facts.rows == 3 and facts.facts["duplicates"] == 1


def test_colour_keeps_equal_forms_apart() -> None:
    hashes = np.array([5, 5, 4, 5], dtype=np.uint64)
    colours = np.array([[200, 0, 0], [0, 0, 200], [201, 0, 1], [100, 0, 0]], dtype=np.uint8)
    ids, duplicate_of = number_pictures(
        hashes, colours, Duplicates(distance_bits=1, colour_distance=5)
    )
    assert ids.tolist() == [0, 1, -1, 2] and duplicate_of.tolist() == [-1, -1, 0, -1]


def test_shards_without_a_picture_are_no_list(tmp_path: Path) -> None:
    shards = tmp_path / "drawn/pictures.manifest.json"
    job = Job("list-pictures", {"ingest.pictures.sources": ["drawn"],
              "ingest.pictures.duplicates": Duplicates().model_dump()}, "c0de")  # fmt: skip
    shards.parent.mkdir()
    files = write_shard(shards.parent, 0, []).files
    facts = {"source": "drawn", "shards": 1}
    job.finish(shards, kind="picture_shards", rows=0, files=files, facts=facts)
    with pytest.raises(InputError, match="shards of drawn hold no picture"):
        list_pictures(job, pictures=[shards], output=tmp_path / "list.manifest.json")
    assert not (tmp_path / "list.parquet").exists()


def test_a_list_is_the_same_in_any_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = drawn_list(tmp_path / "whole", count=7, samples_per_shard=2)
    monkeypatch.setattr(numbering, "ROWS_OF_GROUP", 4)
    parts = drawn_list(tmp_path / "parts", count=7, samples_per_shard=2)
    groups = pq.ParquetFile(parts.with_name("list.parquet")).num_row_groups
    assert groups == 2 and read_picture_list(parts).equals(read_picture_list(whole))
    assert [number for number, _ in iterate_pictures(parts)] == list(range(7))


def test_pictures_are_read_back_by_id(tmp_path: Path) -> None:
    manifest = drawn_list(tmp_path, count=5)
    assert [number for number, _ in iterate_pictures(manifest, first_id=2)] == [2, 3, 4]
    assert set(picture_bytes(manifest, [4, 1])) == {1, 4}
    for number, image in iterate_pictures(manifest):
        assert image.mode == "RGB" and image.size == (40, 40), number


def test_names_in_captions_and_titles() -> None:
    assert plain_name("dog face") == "dog" and plain_name("large red circle") == "red circle"
    assert stamps.name_in("A yellow lemon.") == "yellow lemon"
    assert stamps.name_in("A pair of cherries!") == "cherries"
    assert stamps.name_in('A peacock (a male "peafowl").') == "peacock"
    assert stamps.name_in("Look, a frog!") == stamps.name_in("Tomatoes are red.") == ""
    assert clip_art.name_in("half_egg2 (b and w)") == "half egg"
    assert clip_art.name_in("3 dogs at 1 river, drawn") == ""
    assert noto_drawings.name_of("heavy black heart") == "red heart"
    assert noto_drawings.name_of("black scissors") == "scissors"
    assert noto_drawings.name_of("black large square") == "black square"
    rdf = b"<dc:title>Lion &amp; co</dc:title><rdf:li>animal</rdf:li><rdf:li>x</rdf:li>"
    assert clip_art.title_and_keywords(rdf) == ("lion & co", ("animal",))
    assert clip_art.title_and_keywords(b"<svg/>") == ("", ())
