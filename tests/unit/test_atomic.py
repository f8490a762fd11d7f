"""A file is there whole or not at all, whatever happens while it is written."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from valm.core.atomic import atomic_directory, atomic_file, write_array, write_json
from valm.errors import SpaceError


def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), atomic_file(target) as file:
        file.write(b"half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_writer_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    code = (
        "import sys, time, pathlib\n"
        "from valm.core.atomic import atomic_file\n"
        "with atomic_file(pathlib.Path(sys.argv[1])) as file:\n"
        "    file.write(b'x' * 1000000); file.flush(); print('ready', flush=True); time.sleep(60)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    writer.stdout.readline()
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    assert target.read_text() == "old"


def test_a_full_disk_is_named_with_what_is_free(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="bytes free") as caught, atomic_file(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.exit_code == 6
    assert list(tmp_path.iterdir()) == []


def test_a_directory_is_replaced_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "checkpoint"
    with atomic_directory(target) as directory:
        (directory / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_directory(target) as directory:
        (directory / "b").write_text("2")
        raise RuntimeError
    assert [path.name for path in target.iterdir()] == ["a"]
    with atomic_directory(target) as directory:
        (directory / "b").write_text("2")
    assert [path.name for path in target.iterdir()] == ["b"]
    assert list(tmp_path.iterdir()) == [target]


def test_arrays_of_objects_and_nan_in_json_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_array(tmp_path / "a.npy", np.array([{}], dtype=object))
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []
