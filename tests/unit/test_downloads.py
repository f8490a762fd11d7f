"""Pictures of the web: metadata filtered and sampled, a shard downloaded for real, link rot counted."""

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders.web_server import web_server
from PIL import Image

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.errors import InputError, SourceError
from valm.ingest.pictures.download import download_pictures, img2dataset_program, reason_of
from valm.ingest.pictures.numbering import iterate_pictures, list_pictures, read_picture_list
from valm.ingest.pictures.shards import gather_pictures, write_picture_shard
from valm.ingest.pictures.url_list import list_urls, urls_of_shard

ROWS = 60


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))


def web_job(verb: str, source: str = "laion", shard: int | None = None, **params: Any) -> Job:
    pictures = {"sources": [source], "params": {source: params}, "storage": {"side_pixels": 64}}
    choices: dict[str, str | int] = {"source": source}
    choices |= {} if shard is None else {"shard": shard}
    study = parse_study({"ingest": {"pictures": pictures}})
    return Job(verb, section_for(study, verb, **choices), "c0de", choices)


def metadata(path: Path, **columns: list[Any]) -> Path:
    rows = len(next(iter(columns.values())))
    standard = {
        "URL": [f"http://web/{n}.jpg" for n in range(rows)],
        "TEXT": [f"a thing, number {n}" for n in range(rows)],
    }
    pq.write_table(pa.table(standard | columns), path)
    return path


def listed(folder: Path, *files: Path, **params: Any) -> Path:
    output = folder / "urls.manifest.json"
    settings = {"metadata": [str(file) for file in files], "shards": 3} | params
    list_urls(web_job("list-urls", **settings), source="laion", output=output)
    return output


def test_every_row_is_listed_or_counted_by_the_filter_that_it_does_not_pass(tmp_path: Path) -> None:
    columns = {
        "URL": [
            "http://a/1",
            "https://a/2",
            "file:///etc/passwd",
            None,
            *(f"http://a/{n}" for n in range(5, 12)),
        ],
        "TEXT": ["one", "two", "three", "four", None, " ", *"abcde"],
        "WIDTH": [500, 500, 500, 500, 500, 500, 100, 2000, None, 500, 500],
        "HEIGHT": [400, 400, 400, 400, 400, 400, 90, 300, None, 400, 400],
        "similarity": [0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.2, 0.4],
        "NSFW": ["UNLIKELY"] * 10 + ["NSFW"],
    }
    where = {
        "minimum_side_pixels": 200,
        "largest_aspect": 3,
        "minimum_similarity": 0.3,
        "nsfw_tags": ["UNLIKELY"],
    }
    made = listed(tmp_path, metadata(tmp_path / "a.parquet", **columns), where=where)
    facts = read_manifest(made).facts
    assert facts["left_out"] == {
        "no_address": 2, "no_caption": 2, "not_similar": 1, "too_long": 1, "too_small": 1, "unsafe": 1,
    }  # fmt: skip
    assert read_manifest(made).rows + sum(facts["left_out"].values()) == facts["read"] == 11
    assert urls_of_shard(made, 0)["url"].to_pylist() == ["http://a/1", "https://a/2", "http://a/9"]


def test_shards_are_filled_in_order_and_the_planned_number_is_there(tmp_path: Path) -> None:
    file = metadata(tmp_path / "a.parquet", similarity=[0.5] * ROWS)
    made = listed(tmp_path, file, addresses_per_shard=25)
    sizes = [len(urls_of_shard(made, shard)) for shard in range(3)]
    assert sizes == [25, 25, 10]
    made = listed(tmp_path, file, addresses_per_shard=10)
    assert read_manifest(made).rows == 30
    assert read_manifest(made).facts["left_out"] == {"beyond_the_shards": 30}
    sampled = listed(tmp_path, file, fraction=0.5)
    kept = set(urls_of_shard(sampled, 0)["url"].to_pylist())
    assert 15 < len(kept) < 45 and not len(urls_of_shard(sampled, 2))
    again = listed(
        tmp_path, metadata(tmp_path / "b.parquet", pwatermark=[0.1] * ROWS), fraction=0.5
    )
    assert kept == set(urls_of_shard(again, 0)["url"].to_pylist())


def test_a_table_of_captions_and_addresses(tmp_path: Path) -> None:
    table = tmp_path / "train.tsv"
    table.write_text("a cat\thttp://a/1\na früh dog\thttp://a/2\n", encoding="utf-8")
    made = listed(tmp_path, table)
    assert urls_of_shard(made, 0)["caption"].to_pylist() == ["a cat", "a früh dog"]
    table.write_bytes(b"a\thttp://a/1\n" * 2 + b"no tab\n")
    with pytest.raises(InputError, match="line 3 has 1 columns"):
        listed(tmp_path, table)


HOW = ("good", "good", "gone", "page", "cut", "closed", "slow", "good", "endless")
REASONS = ("cut_off", "gone", "not_a_picture", "opted_out", "too_many_bytes", "too_slow")
LOST = dict.fromkeys(REASONS, 1)


def photos(count: int = len(HOW)) -> dict[str, bytes]:
    """Photos of the mirror, or gradients where there is none."""
    root = Path(os.environ.get("VALM_MIRROR", "nowhere"))
    found = sorted(root.glob("**/*coco*/**/*.jpg"))[:count]
    if len(found) == count:
        return {path.name: path.read_bytes() for path in found}
    made = {}
    for number in range(count):
        buffer = io.BytesIO()
        Image.radial_gradient("L").rotate(9 * number).convert("RGB").save(buffer, "JPEG")
        made[f"{number}.jpg"] = buffer.getvalue()
    return made


@pytest.mark.slow
def test_a_shard_is_downloaded_for_real_and_link_rot_is_counted(tmp_path: Path) -> None:
    try:
        img2dataset_program()
    except SourceError:
        pytest.skip("img2dataset is not installed: make download-environment")
    given = photos()
    with web_server(given) as (address, asked):
        names = list(given)
        urls = [f"{address}/{how}/{name}" for how, name in zip(HOW, names, strict=True)]
        columns = {"URL": urls, "TEXT": [f"photo {n}" for n in range(9)], "LICENSE": ["CC BY"] * 9}
        file = metadata(tmp_path / "a.parquet", **columns)
        settings = {
            "metadata": [str(file)],
            "shards": 2,
            "download": {"timeout_seconds": 2, "retries": 0, "memory_gib": 4},
        }
        folder = tmp_path / "laion"
        lists = folder / "downloads" / "urls.manifest.json"
        list_urls(web_job("list-urls", **settings), source="laion", output=lists)
        for shard in (0, 1):
            output = folder / "downloads" / f"{shard:05d}.manifest.json"
            job = web_job("download-pictures", shard=shard, **settings)
            download_pictures(job, source="laion", shard=shard, urls=lists, output=output)
    made = read_manifest(folder / "downloads" / "00000.manifest.json")
    assert made.facts["lost"] == LOST and made.facts["listed"] == 9 and made.rows == 3
    assert {path.split("/")[1] for path in asked} == set(HOW)
    survivors = pq.read_table(folder / "downloads" / "00000.survivors.parquet").to_pylist()
    for row, name in zip(survivors, names, strict=True):
        wanted = hashlib.sha256(given[name]).hexdigest() if not row["lost"] else ""
        assert row["sha256"] == wanted, row["lost"]

    for shard in (0, 1):
        job = web_job("write-picture-shard", shard=shard, **settings)
        downloaded = folder / "downloads" / f"{shard:05d}.manifest.json"
        write_picture_shard(
            job, source="laion", shard=shard, downloaded=downloaded,
            output=folder / f"{shard:05d}.manifest.json",
        )  # fmt: skip
    gathered = folder / "pictures.manifest.json"
    gather_pictures(web_job("gather-pictures"), source="laion", shards=2, output=gathered)
    facts = read_manifest(gathered).facts
    assert facts["lost"] == LOST and facts["listed"] == 9 and facts["licences"] == {"CC BY": 3}
    output = tmp_path / "list.manifest.json"
    list_pictures(web_job("list-pictures"), pictures=[gathered], output=output)
    table = read_picture_list(output)
    assert table["caption"].to_pylist() == ["photo 0", "photo 1", "photo 7"]
    assert table["origin"].to_pylist() == [urls[0], urls[1], urls[7]]
    assert [max(image.size) for _, image in iterate_pictures(output)] == [64] * 3
    with tarfile.open(folder / "00001.tar") as tar:
        assert tar.getnames() == []


@pytest.mark.slow
def test_a_shard_of_which_too_much_is_lost_fails(tmp_path: Path) -> None:
    try:
        img2dataset_program()
    except SourceError:
        pytest.skip("img2dataset is not installed: make download-environment")
    with web_server({}) as (address, _):
        file = metadata(
            tmp_path / "a.parquet", URL=[f"{address}/gone/{n}" for n in range(4)], TEXT=list("abcd")
        )
        settings = {"metadata": [str(file)], "shards": 1}
        lists = tmp_path / "urls.manifest.json"
        list_urls(web_job("list-urls", **settings), source="laion", output=lists)
        job = web_job("download-pictures", shard=0, **settings)
        with pytest.raises(InputError, match=r"4 of 4 addresses gave no picture: .*gone.: 4"):
            download_pictures(
                job, source="laion", shard=0, urls=lists, output=tmp_path / "00000.manifest.json"
            )
    assert not list(tmp_path.glob("00000.*"))


def test_without_img2dataset_the_cure_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VALM_IMG2DATASET", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SourceError, match="make download-environment"):
        img2dataset_program()


@pytest.mark.parametrize(
    "message, code",
    [
        ("HTTP Error 404: Not Found", "gone"),
        ("HTTP Error 403: Forbidden", "refused"),
        ("HTTP Error 503: Service Unavailable", "server_error"),
        ("<urlopen error timed out>", "too_slow"),
        ("The read operation timed out", "too_slow"),
        ("IncompleteRead(12 bytes read, 13 more expected)", "cut_off"),
        ("Image decoding error", "not_a_picture"),
        ("Use of image disallowed by X-Robots-Tag directive", "opted_out"),
        ("<urlopen error [Errno -2] Name or service not known>", "unreachable"),
        ("<urlopen error [Errno 111] Connection refused>", "unreachable"),
        ("'ascii' codec can't encode characters in position 5-6", "no_address"),
        ("URL can't contain control characters. '/a b' (found at least ' ')", "no_address"),
        ("", "too_many_bytes"),
        ("something new", "other"),
    ],
)
def test_reasons_are_told_apart(message: str, code: str) -> None:
    assert reason_of(message) == code
