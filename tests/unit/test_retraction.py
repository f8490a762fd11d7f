"""Pictures that have been taken down: by any name, for every study, out of every index."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders.pictures import drawn_list, raw_pictures
from builders.retrieval import retrieve_job, unit_vectors, write_index, write_vectors
from typer.testing import CliRunner

from valm.cli.main import app
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.errors import InputError
from valm.evaluate.questions.own_pictures import PicturesByName
from valm.ingest.pictures.numbering import read_picture_list
from valm.ingest.pictures.retracted import retracted_ids
from valm.ingest.pictures.retraction import list_retracted, read_retracted, retract
from valm.report.chapters.ingest import picture_examples
from valm.report.results import Results
from valm.retrieve.index import Searcher, build_index
from valm.serve.open_study import check_nothing_taken_down_since, pictures_to_show


def listed(folder: Path, file: Path, pictures: Path) -> Path:
    output = folder / "retracted.manifest.json"
    list_retracted(Job("list-retracted", {}, "c0de"), pictures=pictures, file=file, output=output)
    return output


def test_pictures_are_retracted_by_id_and_by_origin_with_their_duplicates(tmp_path: Path) -> None:
    raw = raw_pictures(12)
    raw.insert(6, replace(raw[3], origin="another copy"))
    pictures, file = drawn_list(tmp_path, 0, raw), tmp_path / "retracted.tsv"
    rows = {row["origin"]: row for row in read_picture_list(pictures).to_pylist()}
    assert rows["another copy"]["duplicate_of"] == rows["drawing 3"]["id"] == 3
    assert retract(file, pictures, ["5", "drawn\tanother copy", ""]) == (2, 3)
    assert read_retracted(file) == {
        ("drawn", "another copy"), ("drawn", "drawing 3"), ("drawn", "drawing 5"),
    }  # fmt: skip
    assert retract(file, pictures, ["5"]) == (1, 0)
    manifest = listed(tmp_path, file, pictures)
    assert retracted_ids(manifest).tolist() == [3, 5]
    assert read_manifest(manifest).rows == 2
    file.write_text(file.read_text() + "laion\tof another study\n")
    assert retracted_ids(listed(tmp_path, file, pictures)).tolist() == [3, 5]


def test_no_name_of_a_picture_hides_another_line(tmp_path: Path) -> None:
    """Quotes, tabs and ends of lines stand in addresses of the web; each line is a picture all the same."""
    origins = ['"never closed', '"closed" it is', "two\tparts\nand lines", "x\u2028y", "plain"]
    raw = [replace(one, origin=name) for one, name in zip(raw_pictures(5), origins, strict=True)]
    pictures, file = drawn_list(tmp_path, 0, raw), tmp_path / "retracted.tsv"
    assert retract(file, pictures, ["0", "1", "2", "drawn\tx\u2028y"]) == (4, 4)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 4
    assert retracted_ids(listed(tmp_path, file, pictures)).tolist() == [0, 1, 2, 3]
    assert retract(file, pictures, ["4"]) == (1, 1)
    assert retracted_ids(listed(tmp_path, file, pictures)).tolist() == [0, 1, 2, 3, 4]


def test_a_picture_taken_down_does_not_come_back_under_another_name(tmp_path: Path) -> None:
    raw, file = raw_pictures(3), tmp_path / "retracted.tsv"
    assert retract(file, drawn_list(tmp_path / "one", 0, raw), ["drawn\tdrawing 1"]) == (1, 1)
    again = [replace(raw[1], origin="of a source that comes first"), *raw]
    other = drawn_list(tmp_path / "other", 0, again)
    assert retracted_ids(listed(tmp_path, file, other)).tolist() == [0]


def test_pictures_of_one_name_are_taken_down_together(tmp_path: Path) -> None:
    raw = [replace(one, origin="the same") for one in raw_pictures(2)]
    pictures, file = drawn_list(tmp_path, 0, raw), tmp_path / "retracted.tsv"
    assert retract(file, pictures, ["0"]) == (1, 1)
    assert retracted_ids(listed(tmp_path, file, pictures)).tolist() == [0, 1]


@pytest.mark.parametrize(
    "line", ["99", "9" * 5000, "-1", "drawn", "drawn\tnowhere", "drawn\tdrawing 1\tx y"]
)
def test_a_picture_that_is_not_there_changes_nothing(tmp_path: Path, line: str) -> None:
    pictures, file = drawn_list(tmp_path, 5), tmp_path / "retracted.tsv"
    (tmp_path / "ids.txt").write_text(f"2\n{line}\n")
    run = CliRunner().invoke(
        app,
        [
            "retract",
            "--ids",
            f"{tmp_path}/ids.txt",
            "--pictures",
            f"{pictures}",
            "--file",
            f"{file}",
        ],
    )
    assert isinstance(run.exception, InputError) and "has no picture" in str(run.exception)
    assert not file.exists()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_of_ids_may_begin_with_a_mark_and_is_utf_8(tmp_path: Path, encoding: str) -> None:
    pictures, file, ids = drawn_list(tmp_path, 5), tmp_path / "retracted.tsv", tmp_path / "ids.txt"
    ids.write_text("2\r\n3\r\n", encoding=encoding)
    given = ["retract", f"--ids={ids}", f"--pictures={pictures}", f"--file={file}"]
    run = CliRunner().invoke(app, given)
    if encoding == "utf-16":
        assert isinstance(run.exception, InputError) and "is no UTF-8" in str(run.exception)
        assert not file.exists()
    else:
        assert retracted_ids(listed(tmp_path, file, pictures)).tolist() == [2, 3]


def test_an_index_holds_no_retracted_picture_and_the_others_keep_their_ids(tmp_path: Path) -> None:
    keys = unit_vectors(40)
    vectors = write_vectors(tmp_path, keys)
    (tmp_path / "names").mkdir()
    pictures, file = drawn_list(tmp_path / "names", 12), tmp_path / "retracted.tsv"
    retract(file, pictures, ["0", "7"])
    retracted = listed(tmp_path, file, pictures)
    whole = write_index(tmp_path / "whole", vectors)
    less = tmp_path / "less.manifest.json"
    job = retrieve_job("build-index", "exact")
    build_index(job, vectors=vectors, index="exact", output=less, retracted=retracted)
    assert read_manifest(less).rows == 38
    queries = keys.astype(np.float32)
    before = Searcher(vectors, whole).search(queries, 40)[0]
    after = Searcher(vectors, less.rename(tmp_path / "exact.manifest.json")).search(queries, 38)[0]
    assert np.array_equal(after, [[i for i in row if i not in (0, 7)] for row in before])


def test_the_oracle_shows_no_retracted_picture(tmp_path: Path) -> None:
    pictures = drawn_list(tmp_path, 5)
    assert PicturesByName(pictures).of("thing") == [0, 1, 2, 3, 4]
    assert PicturesByName(pictures, [2]).of("thing") == [0, 1, 3, 4]


def test_the_viewer_and_the_report_show_no_retracted_picture(tmp_path: Path) -> None:
    pictures, file = drawn_list(tmp_path / "ingest/pictures", 12), tmp_path / "retracted.tsv"
    retract(file, pictures, ["3"])
    listed(pictures.parent, file, pictures)
    kept = [number for number in range(12) if number != 3]
    assert sorted(pictures_to_show(pictures)) == kept
    assert Results(tmp_path).shown_pictures()["id"].to_list() == kept
    sheet = picture_examples(tmp_path, 12)._repr_html_()
    assert "thing 2, drawn" in sheet and "thing 3, drawn" not in sheet


def test_the_viewer_refuses_an_index_of_before_a_picture_was_taken_down(tmp_path: Path) -> None:
    vectors = write_vectors(tmp_path, unit_vectors(12))
    (tmp_path / "names").mkdir()
    pictures, file = drawn_list(tmp_path / "names", 12), tmp_path / "retracted.tsv"
    retracted, index = listed(tmp_path, file, pictures), tmp_path / "exact.manifest.json"
    job = retrieve_job("build-index", "exact")
    build_index(job, vectors=vectors, index="exact", output=index, retracted=retracted)
    check_nothing_taken_down_since(index, retracted)
    retract(file, pictures, ["11"])
    listed(tmp_path, file, pictures)
    with pytest.raises(InputError, match="taken down after this index was built"):
        check_nothing_taken_down_since(index, retracted)


def test_a_damaged_list_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "retracted.tsv"
    file.write_text("drawn\tone\nno tab\n")
    with pytest.raises(InputError, match=r"not a source, a tab and an origin.*retracted\.tsv:2"):
        read_retracted(file)
