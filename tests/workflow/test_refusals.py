"""Settings that are wrong end a run before it starts: one line that says what, where and the cure."""

from __future__ import annotations

import pytest
from builders.checkout import Checkout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--config", "retrieve={top_kk: 3}"], ["unknown key", "retrieve.top_kk", "'top_k'"]),
        (["--config", "train={steps: -1}"], ["train.steps", "greater than or equal to 1"]),
        (["--config", "evaluate={tasks: [shap]}"], ["no task named 'shap'", "'shape'"]),
    ],
)
def test_a_wrong_key_is_one_line_and_exit_code_2(
    checkout: Checkout, arguments: list[str], words: list[str]
) -> None:
    run = checkout.snakemake("--dry-run", *arguments)
    assert run.returncode == 2
    assert "Traceback" not in run.stdout
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("error:")]
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--configfile", "config/studies/tinny.yaml"], ["no such file", "mean 'tiny.yaml'"]),
        (["--configfile", "config/studies/tiny.yaml", "train"], ["'train' is no file", "`--`"]),
        (["--configfile", "bad.yaml"], ["cannot read the configuration", "line 2", "[bad.yaml]"]),
    ],
)
def test_a_wrong_file_of_settings_is_one_line(
    checkout: Checkout, arguments: list[str], words: list[str]
) -> None:
    (checkout.folder / "bad.yaml").write_text("study: [x\n  a: {\n", encoding="utf-8")
    for verb in ("plan", "explain"):
        run = checkout.run("python", "-m", "valm", verb, *arguments)
        assert run.returncode == 2
        (line,) = run.stdout.splitlines()
        assert line.startswith("error: ") and [word for word in words if word not in line] == []
