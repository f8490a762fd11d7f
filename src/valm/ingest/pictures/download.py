"""``download-pictures``: one shard of addresses, downloaded by img2dataset into one tar.

img2dataset runs as a program of its own, in its own environment (it needs an older webdataset). What the
web gave is not to be had again: the list of what survived, with the sha256 of each picture, is written
beside the tar, and every later step reads these two.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from valm.core.atomic import atomic_path
from valm.core.job import Job
from valm.core.logs import logger
from valm.errors import InputError, SourceError
from valm.ingest.pictures.url_list import Download, UrlParams, urls_of_shard

KIND, FOLDER = "downloaded_shard", "run."
PROGRAM = "VALM_IMG2DATASET"
OWN_ENVIRONMENT = Path(".venv-download/bin/img2dataset")
LARGEST_MEGAPIXELS = 180
SIGNAL_OF_PARENTS_DEATH = 1  # PR_SET_PDEATHSIG of Linux's prctl
ONLY_SHARD = "00000"  # as img2dataset names the one shard that it is asked for
SURVIVORS = pa.schema(
    [
        ("key", pa.string()),
        ("url", pa.string()),
        ("caption", pa.string()),
        ("licence", pa.string()),
        ("lost", pa.string()),
        ("sha256", pa.string()),
    ]
)
# How img2dataset tells why an address gave nothing, and the reason code for it; the first that matches.
REASONS = (
    (r"disallowed by X-Robots-Tag", "opted_out"),
    (r"HTTP Error 40[4]|HTTP Error 410", "gone"),
    (r"HTTP Error 4\d\d", "refused"),
    (r"HTTP Error 5\d\d", "server_error"),
    (r"timed out|timeout", "too_slow"),
    (r"IncompleteRead|bytes read", "cut_off"),
    (r"[Ii]mage decoding error|NoneType|imdecode|cvtColor|OpenCV", "not_a_picture"),
    (r"codec can't encode|control characters|unknown url|nonnumeric port|no host", "no_address"),
    (r"^$", "too_many_bytes"),  # a MemoryError says nothing
    (r"Name or service|getaddrinfo|refused|reset|unreachable|Remote end closed", "unreachable"),
)


def download_pictures(job: Job, *, source: str, shard: int, urls: Path, output: Path) -> None:
    """Download a shard's pictures; ``NNNNN.tar`` and ``NNNNN.survivors.parquet`` are written.

    Args:
        source: Name of the picture source.
        shard: Number of the shard.
        urls: Manifest of the source's list of addresses.
        output: ``NNNNN.manifest.json``.

    Raises:
        SourceError: img2dataset is not there.
        InputError: Too many addresses gave nothing, or img2dataset failed.
    """
    params = UrlParams.model_validate(job.section["ingest.pictures.params"][source])
    table = urls_of_shard(urls, shard)
    tar = output.with_name(f"{shard:05d}.tar")
    survivors = output.with_name(f"{shard:05d}.survivors.parquet")
    with job.work([urls]) as work:
        for killed in work.glob(f"{FOLDER}*"):
            shutil.rmtree(killed, ignore_errors=True)
        # A name of its own: a process that a killed run has left may still be writing into that run's.
        folder = Path(tempfile.mkdtemp(prefix=FOLDER, dir=work))
        asked = folder / "urls.parquet"
        pq.write_table(table, asked)
        if len(table):
            _run_img2dataset(asked, folder / "out", params.download)
        rows = _survivors(table, folder / "out" / f"{ONLY_SHARD}.parquet")
        lost = Counter(row["lost"] for row in rows if row["lost"])
        if lost.total() > max(1, params.download.maximum_lost_fraction * len(rows)):
            raise InputError(
                f"{lost.total():,} of {len(rows):,} addresses gave no picture: {dict(lost)}",
                where=f"{source}, shard {shard}",
                cure="see whether the net is reached, or raise download.maximum_lost_fraction",
            )
        with atomic_path(survivors) as path:
            pq.write_table(pa.Table.from_pylist(rows, SURVIVORS), path)
        downloaded = folder / "out" / f"{ONLY_SHARD}.tar"
        with atomic_path(tar) as path:
            _write_in_order(downloaded, path)
        kept = len(rows) - lost.total()
        job.finish(
            output,
            kind=KIND,
            rows=kept,
            files=[tar, survivors],
            parents=[urls],
            facts={"source": source, "listed": len(rows), "lost": dict(sorted(lost.items()))},
        )
        shutil.rmtree(folder)
    logger.info("%s, shard %s: %s of %s addresses", source, shard, f"{kept:,}", f"{len(rows):,}")


def img2dataset_program() -> str:
    """The program: the environment's VALM_IMG2DATASET, its own environment here, or on PATH.

    Raises:
        SourceError: It is nowhere.
    """
    named = os.environ.get(PROGRAM)
    here = str(OWN_ENVIRONMENT) if OWN_ENVIRONMENT.is_file() else None
    found = named or here or shutil.which("img2dataset")
    if found is None:
        raise SourceError(
            "img2dataset is not installed",
            cure="make download-environment, or run the study with --use-conda",
        )
    return found


def _run_img2dataset(urls: Path, output: Path, settings: Download) -> None:
    output.mkdir()
    command = [
        img2dataset_program(),
        f"--url_list={urls.resolve()}",
        "--input_format=parquet",
        "--url_col=url",
        "--caption_col=caption",
        f"--output_folder={output.resolve()}",
        "--output_format=webdataset",
        f"--image_size={settings.side_pixels}",
        "--resize_mode=keep_ratio_largest",
        "--resize_only_if_bigger=True",
        f"--max_image_area={LARGEST_MEGAPIXELS * 1_000_000}",
        "--processes_count=1",
        f"--thread_count={settings.connections}",
        f"--timeout={settings.timeout_seconds}",
        f"--retries={settings.retries}",
        "--compute_hash=sha256",
        "--extract_exif=False",
        "--enable_wandb=False",
        "--save_additional_columns=['licence']",
        "--disallowed_header_directives=['noai','noimageai','noindex','noimageindex']",
    ]
    environment = os.environ | {
        "OPENCV_IO_MAX_IMAGE_PIXELS": str(LARGEST_MEGAPIXELS * 1_000_000),
        "NO_ALBUMENTATIONS_UPDATE": "1",
        "WANDB_MODE": "disabled",
        "PYTHONPATH": "",  # its own packages only
    }
    limit, libc = settings.memory_gib << 30, ctypes.CDLL(None)

    def keep_in_bounds() -> None:
        """A server that never stops sending ends in a MemoryError; no program outlives this process."""
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        if sys.platform == "linux":
            libc.prctl(SIGNAL_OF_PARENTS_DEATH, signal.SIGKILL)

    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, errors="replace",
        preexec_fn=keep_in_bounds, check=False,
    )  # fmt: skip
    logger.debug("%s", run.stdout[-5000:] + run.stderr[-5000:])
    if run.returncode or not (output / f"{ONLY_SHARD}.parquet").is_file():
        last = (run.stderr.strip() or run.stdout.strip() or "no message").splitlines()[-1]
        raise InputError(f"img2dataset failed: {last[:500]}", where=urls, cure="see the log")


def _survivors(table: pa.Table, found: Path) -> list[dict[str, Any]]:
    """Every address of a shard: its key, why it was lost or "", and the sha256 of its picture."""
    outcome = {}
    if len(table):
        columns = ["key", "status", "error_message", "sha256"]
        for row in pq.read_table(found, columns=columns).to_pylist():
            outcome[int(row["key"])] = row
    rows = []
    for place, row in enumerate(table.to_pylist()):
        seen = outcome.get(place, {"status": "failed", "error_message": "not tried", "key": ""})
        lost = "" if seen["status"] == "success" else reason_of(str(seen["error_message"]))
        sha256 = "" if lost else seen["sha256"]
        rows.append(row | {"key": seen["key"], "lost": lost, "sha256": sha256})
    return rows


def reason_of(message: str) -> str:
    """The reason code of one of img2dataset's error messages."""
    return next((code for pattern, code in REASONS if re.search(pattern, message)), "other")


def _write_in_order(downloaded: Path, target: Path) -> None:
    """Copy img2dataset's tar in the order of its keys: it comes in the order in which servers answered."""
    with tarfile.open(target, "w") as tar:
        if not downloaded.is_file():
            return  # no address was asked
        with tarfile.open(downloaded, "r:") as found:
            for info in sorted(found.getmembers(), key=lambda info: info.name):
                copy = tarfile.TarInfo(info.name)
                copy.size = info.size
                tar.addfile(copy, found.extractfile(info))
