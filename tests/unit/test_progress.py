"""What a long job tells of itself, in the log and in ``progress.json``."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from valm.core.progress import PLAIN, Tracker


def test_rate_and_time_left_count_from_where_it_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """100 of 400 tokens were done before; 100 more take 20 s, and so does each hundred that is left."""
    monkeypatch.setenv(PLAIN, "1")
    file, now = tmp_path / "progress.json", [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with caplog.at_level("INFO", "valm"):
        with Tracker("training", 400, "tokens", file, done=100) as tracker:
            now[0] += 5
            tracker.advance(50)
            assert not file.exists()  # nothing is written so soon
            now[0] += 15
            tracker.facts = {"loss": 2.5, "peak_memory_bytes": 1 << 30}
            tracker.advance(50, "loss 2.500")
            assert json.loads(file.read_text()) == {
                "what": "training", "done": 200, "total": 400, "unit": "tokens",
                "seconds": 20.0, "seconds_left": 40.0,
                "note": "loss 2.500", "loss": 2.5, "peak_memory_bytes": 1 << 30,
            }  # fmt: skip
            now[0] += 40
            tracker.advance(200)
        told = [record.getMessage() for record in caplog.records]
    assert told[0] == "training: 200 of 400 tokens (5/s), 40 s left loss 2.500"
    assert json.loads(file.read_text())["seconds_left"] == 0


def test_the_last_state_is_told_of_a_job_that_fails(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    with pytest.raises(ValueError, match="broken"), Tracker("training", 9, "tokens", file) as begun:
        begun.advance(3)
        raise ValueError("broken")
    assert json.loads(file.read_text())["done"] == 3
