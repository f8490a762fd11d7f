"""Metadata of the web's pictures: another schema, a cut file or a broken text is a reason code or an error."""

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.errors import InputError
from valm.ingest.pictures.url_list import list_urls, urls_of_shard


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))


def listed(folder: Path, file: Path, **params: Any) -> Path:
    own = {"metadata": [str(file)], "shards": 1} | params
    pictures = {"sources": ["laion"], "params": {"laion": own}}
    section = section_for(
        parse_study({"ingest": {"pictures": pictures}}), "list-urls", source="laion"
    )
    output = folder / "urls.manifest.json"
    list_urls(Job("list-urls", section, "c0de", {"source": "laion"}), source="laion", output=output)
    return output


@pytest.mark.parametrize(
    "columns, message",
    [
        ({"link": ["http://a"], "TEXT": ["x"]}, "no column of urls, only link, TEXT"),
        ({"URL": ["http://a"]}, "no column of captions"),
        ({"URL": [1], "TEXT": ["x"]}, "column 'URL' holds int64"),
        ({"URL": ["http://a"], "TEXT": ["x"], "WIDTH": ["wide"]}, "column 'WIDTH' holds string"),
    ],
)
def test_metadata_of_another_schema_are_refused(
    tmp_path: Path, columns: dict[str, list[Any]], message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message) as caught:
        listed(tmp_path, tmp_path / "a.parquet")
    assert caught.value.where == tmp_path / "a.parquet"


def test_metadata_of_nulls_and_odd_numbers_are_counted(tmp_path: Path) -> None:
    columns = {
        "URL": [None, "http://a/1", "http://a/2", "http://a/3"],
        "TEXT": ["x", None, "x", "x"],
        "WIDTH": [None, None, float("nan"), -5.0],
        "HEIGHT": [None, None, 3.0, 4.0],
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    facts = read_manifest(listed(tmp_path, tmp_path / "a.parquet")).facts
    assert (
        facts["read"] == 4
        and facts["left_out"]["no_address"] == facts["left_out"]["no_caption"] == 1
    )
    assert facts["left_out"]["too_small"] >= 1


def test_a_parquet_cut_anywhere_or_with_a_turned_footer_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "a.parquet"
    rows = 300
    pq.write_table(
        pa.table({"URL": [f"http://a/{n}" for n in range(rows)], "TEXT": ["x"] * rows}), file
    )
    data = file.read_bytes()
    for length in [*range(0, len(data), len(data) // 40), len(data) - 1]:
        file.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"cannot be read.*a\.parquet"):
            listed(tmp_path, file)
    file.write_bytes(data[:-8] + struct.pack("<I", 1 << 30) + b"PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        listed(tmp_path, file)
    with pytest.raises(InputError, match="missing"):
        listed(tmp_path, tmp_path / "b.parquet")


def texts(*values: bytes) -> pa.Array:
    """A column of texts whose bytes nobody has looked at."""
    ends = np.cumsum([0, *map(len, values)]).astype(np.int32)
    buffers = [None, pa.py_buffer(ends.tobytes()), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def test_texts_that_are_not_utf8_are_counted_and_the_others_stay(tmp_path: Path) -> None:
    columns = {
        "URL": texts(b"http://a/1", b"http://a/\xff", b"http://a/3", b"http://a/4"),
        "TEXT": texts(b"one", b"two", b"thr\xe9e", "f\u00fcnf".encode()),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    table = tmp_path / "a.tsv"
    table.write_bytes("one\thttp://a/1\n\xff\thttp://a/2\n".encode("latin-1") * 2)
    for file, kept, broken in ((tmp_path / "a.parquet", 2, 2), (table, 2, 2)):
        made = read_manifest(listed(tmp_path, file))
        assert made.rows == kept and made.facts["left_out"] == {"not_utf8": broken}
        assert made.facts["read"] == kept + broken


def test_columns_of_categories_are_read_and_ones_of_nothing_state_nothing(tmp_path: Path) -> None:
    columns = {
        "URL": ["http://a/1", "http://a/2"],
        "TEXT": ["x", "x"],
        "NSFW": pa.array(["UNLIKELY", "NSFW"]).dictionary_encode(),
        "WIDTH": pa.nulls(2),
        "LICENSE": pa.nulls(2),
    }
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    where = {"minimum_side_pixels": 200, "nsfw_tags": ["UNLIKELY"]}
    made = listed(tmp_path, tmp_path / "a.parquet", where=where)
    assert urls_of_shard(made, 0)["url"].to_pylist() == ["http://a/1"]
    assert read_manifest(made).facts["left_out"] == {"unsafe": 1}


PEAK = """
import sys
from pathlib import Path
from valm.ingest.pictures.url_list import _rows
assert sum(1 for _ in _rows(Path(sys.argv[1]))) == int(sys.argv[2])
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_memory_is_flat_in_the_rows_of_a_row_group(tmp_path: Path) -> None:
    peaks = []
    draw = np.random.default_rng(1)
    for rows in (100_000, 1_000_000):
        numbers = draw.integers(0, 1 << 62, rows)
        table = pa.table(
            {"URL": [f"http://a/{n}" for n in numbers], "TEXT": [f"{n}" for n in numbers]}
        )
        pq.write_table(table, tmp_path / "a.parquet", row_group_size=rows)
        command = [sys.executable, "-c", PEAK, str(tmp_path / "a.parquet"), str(rows)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout) / 1024)
    assert peaks[1] < peaks[0] + 8, f"{peaks} MiB"
