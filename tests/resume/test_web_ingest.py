"""Pictures and text of the web, by the real command line: kill -9 at random moments, and two runs at once."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders.checkout import copy_repository, kill_group
from builders.pictures import drawing
from builders.stand_in_download import SECONDS, stand_in
from builders.web_server import web_server
from builders.web_texts import made_documents, packed_documents

SHARDS, ADDRESSES = 3, 24  # of each shard


@dataclass
class Web:
    """A small web that is served, a list of its pictures, and what was asked for so far."""

    folder: Path
    metadata: Path
    asked: list[str]
    seconds_a_picture: float = 0.2

    @property
    def environment(self) -> dict[str, str]:
        work = {"VALM_WORK": str(self.folder / "work"), SECONDS: str(self.seconds_a_picture)}
        return os.environ | work | {"VALM_IMG2DATASET": str(self.folder / "img2dataset")}

    def params(self) -> dict[str, object]:
        return {
            "metadata": [str(self.metadata)],
            "shards": SHARDS,
            "addresses_per_shard": ADDRESSES,
        }

    def start(self, verb: str, output: Path, *more: str) -> subprocess.Popen[str]:
        """Start a verb for ``laion`` or ``cc100`` on the study ``study.json``."""
        command = [sys.executable, "-m", "valm", verb, "--output", str(output), *more]
        command += ["--config", str(self.folder / "study.json")]
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, verb: str, output: Path, *more: str) -> None:
        process = self.start(verb, output, *more)
        said, _ = process.communicate()
        assert process.returncode == 0, said[-2000:]


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    stand_in(tmp_path)
    pictures = {f"{number}.png": drawing(number) for number in range(SHARDS * ADDRESSES)}
    with web_server(pictures) as (address, asked):
        how = ["gone" if number % 7 == 3 else "good" for number in range(len(pictures))]
        urls = [f"{address}/{way}/{name}" for way, name in zip(how, pictures, strict=True)]
        metadata = tmp_path / "metadata.parquet"
        pq.write_table(
            pa.table({"URL": urls, "TEXT": [f"thing {n}" for n in range(len(urls))]}), metadata
        )
        web = Web(tmp_path, metadata, asked)
        study = {
            "pictures": {"sources": ["laion"], "params": {"laion": web.params()}},
            "text": {"sources": [{"name": "cc100"}], "params": {"cc100": {"files": ["en.xz"]}}},
        }
        (tmp_path / "study.json").write_text(json.dumps({"ingest": study}))
        yield web


def bytes_of(folder: Path, *names: str) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]


def wait_for(what: str, seconds: float, ready: object) -> None:
    end = time.monotonic() + seconds
    while not ready():  # type: ignore[operator]
        assert time.monotonic() < end, f"{what}: not within {seconds} seconds"
        time.sleep(0.01)


def programs_in(folder: Path) -> list[psutil.Process]:
    """Stand-ins that are at work for a folder's jobs."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if any(word.startswith(f"--output_folder={folder}") for word in words):
            found.append(process)
    return found


def killed_at_random(web: Web, output: Path, draw: random.Random, shard: Sequence[str]) -> bool:
    """Start a shard's download, kill it after some answers, if it is not done then, and see that nothing goes on."""
    process = web.start("download-pictures", output, *shard)
    before, moment = len(web.asked), draw.randint(0, ADDRESSES)
    wait_for(
        "the download", 120, lambda: process.poll() is not None or len(web.asked) >= before + moment
    )
    time.sleep(draw.uniform(0, 0.3))
    amid = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_for("the program's end", 20, lambda: not programs_in(web.folder))
    return amid


@pytest.mark.slow
def test_downloads_killed_at_random_moments_have_the_bytes_of_undisturbed_ones(web: Web) -> None:
    source, draw = ("--source", "laion"), random.Random(9)
    made, kills = {}, 0
    for name in ("whole", "killed"):
        folder = web.folder / name
        urls = folder / "downloads" / "urls.manifest.json"
        web.run("list-urls", urls, *source)
        for number in range(2):
            shard = (*source, "--shard", str(number))
            output = folder / "downloads" / f"{number:05d}.manifest.json"
            for _ in range(3 if name == "killed" else 0):
                kills += killed_at_random(web, output, draw, (*shard, "--urls", str(urls)))
            if not output.exists():
                web.run("download-pictures", output, *shard, "--urls", str(urls))
            final = folder / f"{number:05d}.manifest.json"
            for _ in range(2 if name == "killed" else 0):
                process = web.start(
                    "write-picture-shard", final, *shard, "--downloaded", str(output)
                )
                time.sleep(draw.uniform(0.2, 3))
                process.send_signal(signal.SIGKILL)
                process.communicate()
            web.run("write-picture-shard", final, *shard, "--downloaded", str(output))
        names = [f"{n:05d}.{ending}" for n in range(2) for ending in ("tar", "manifest.json")]
        made[name] = [
            *bytes_of(folder, *names, "00000.parquet"),
            *bytes_of(folder / "downloads", *names, "00001.survivors.parquet"),
        ]
    assert kills >= 3 and made["killed"] == made["whole"]
    assert not list(web.folder.glob("work/download-pictures/*/run.*"))


def refused(web: Web, holder: subprocess.Popen[str], verb: str, output: Path, *more: str) -> None:
    """See that a second run is refused while the first one works, and leave the first alone."""
    second = web.start(verb, output, *more)
    said, _ = second.communicate()
    assert second.returncode == 5, said
    assert (
        f"process {holder.pid} on {socket.gethostname()}" in said and "wait for it to end" in said
    )
    assert "Traceback" not in said and holder.poll() is None


@pytest.mark.slow
def test_of_two_downloads_of_one_shard_the_second_is_refused(web: Web) -> None:
    folder, source = web.folder / "laion", ("--source", "laion")
    urls, output = folder / "urls.manifest.json", folder / "00000.manifest.json"
    web.run("list-urls", urls, *source)
    own = (*source, "--shard", "0", "--urls", str(urls))
    web.seconds_a_picture = 3
    first = web.start("download-pictures", output, *own)
    wait_for("the first download", 60, lambda: web.asked or first.poll() is not None)
    refused(web, first, "download-pictures", output, *own)
    other = folder / "00001.manifest.json"
    web.seconds_a_picture = 0
    web.run("download-pictures", other, *source, "--shard", "1", "--urls", str(urls))
    first.kill()
    first.communicate()
    web.run("download-pictures", output, *own)


@pytest.mark.slow
def test_of_two_runs_on_one_web_text_the_second_is_refused(web: Web) -> None:
    packed_documents(web.folder / "en.xz", made_documents(30_000))
    output = web.folder / "cc100.manifest.json"
    first = web.start("write-text", output, "--source", "cc100")
    locks = web.folder.glob
    wait_for("the first", 60, lambda: any(f.read_text() for f in locks("work/write-text/*/.lock")))
    first.send_signal(signal.SIGSTOP)  # for as long as the second needs
    refused(web, first, "write-text", output, "--source", "cc100")
    first.send_signal(signal.SIGCONT)
    said, _ = first.communicate()
    assert first.returncode == 0, said


@pytest.mark.slow
def test_a_killed_workflow_makes_no_finished_shard_again(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECONDS, "0.5")
    (web.folder / "checkout").mkdir()
    checkout = copy_repository(web.folder / "checkout")
    pictures = {"sources": ["laion"], "params": {"laion": web.params()}}
    study = {"study": "tiny", "ingest": {"pictures": pictures}}
    (checkout.folder / "config/studies/tiny.yaml").write_text(json.dumps(study))
    programs = checkout.folder / ".venv-download/bin"
    programs.mkdir(parents=True)
    stand_in(programs)
    folder = checkout.results / "ingest/pictures/laion"
    target = f"{folder.relative_to(checkout.folder)}/pictures.manifest.json"
    killed = checkout.start("--cores", "1", target)
    amid_the_second = ADDRESSES + ADDRESSES // 3
    wait_for(
        "a shard and a part of the next",
        300,
        lambda: killed.poll() is not None or len(web.asked) >= amid_the_second,
    )
    kill_group(killed)
    assert not (folder / "pictures.manifest.json").exists()
    finished = {p: p.stat().st_mtime_ns for p in folder.rglob("0*.manifest.json")}
    already, asked = {path.name[:5] for path in finished}, len(web.asked)
    monkeypatch.setenv(SECONDS, "0")
    checkout.run("snakemake", "--unlock")
    again = checkout.snakemake("--cores", "1", target)
    assert again.returncode == 0, again.stdout[-3000:]
    assert finished and all(path.stat().st_mtime_ns == at for path, at in finished.items())
    numbers = {int(path.rpartition("/")[2].partition(".")[0]) for path in web.asked[asked:]}
    assert numbers == {
        n for n in range(SHARDS * ADDRESSES) if f"{n // ADDRESSES:05d}" not in already
    }
    listed = pq.read_table(folder / "shards.parquet").to_pylist()
    assert (
        sum(row["pictures"] + row["lost"] + row["rejected"] for row in listed) == SHARDS * ADDRESSES
    )
