"""A work directory belongs to one process at a time, and is free again when that one is killed."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from valm.core.work import work_directory
from valm.errors import BusyError

HOLD = """
import time
from valm.core.work import work_directory
with work_directory("train-model", "f00d") as directory:
    (directory / "state").write_text("kept")
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_process_at_a_time_and_free_after_kill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path))
    holder = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(BusyError) as caught, work_directory("train-model", "f00d"):
        pass
    assert caught.value.exit_code == 5
    assert f"process {holder.pid} on {socket.gethostname()}" in caught.value.what
    assert "wait for it to end" in str(caught.value)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with work_directory("train-model", "f00d") as directory:
        assert (directory / "state").read_text() == "kept"
