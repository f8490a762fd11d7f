"""docs/parity.md pins its rows by tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def test_every_test_that_the_table_names_is_there() -> None:
    text = (ROOT / "docs/parity.md").read_text("utf-8")
    named = NAMED.findall(text)
    assert len(named) > 40
    assert text.count("`tests/") == len(named)
    missing = [
        f"{file}::{test}"
        for file, test in named
        if not re.search(rf"^def {test}\(", (ROOT / file).read_text("utf-8"), re.MULTILINE)
    ]
    assert not missing


def test_every_row_is_as_wide_as_its_head() -> None:
    width = 0
    for number, line in enumerate((ROOT / "docs/parity.md").read_text("utf-8").splitlines(), 1):
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert not (width and cells) or cells == width, f"line {number}"
        width = cells
