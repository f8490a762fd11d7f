"""Every kind of bad evaluation data, by the real command line: one line, its file, its exit code."""

from __future__ import annotations

import html
import json
import sys
import urllib.error
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from builders import checkpoints
from builders.evaluation import TinyStudy
from builders.task_files import FILES

from valm.cli.main import main
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.work import WORK_ROOT
from valm.evaluate.questions.definitions import TASKS
from valm.ingest.raw.sources import load_sources

SOURCE = "memory_color"
HEADER = b"Index,Descriptor,Item,Color\n"

Run = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a command as ``python -m valm`` does; its exit code and what it wrote to stderr."""
    monkeypatch.setenv(WORK_ROOT, str(tmp_path / "work"))

    def run(*arguments: object) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["valm", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        logger.handlers.clear()  # they write to this run's stderr
        return int(ended.value.code or 0), capsys.readouterr().err.splitlines()

    return run


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return TinyStudy(tmp_path / "study")


def prepare(run: Run, study: TinyStudy, task: str, raw: list[Path]) -> tuple[int, list[str], Path]:
    output = study.folder / "asked" / f"{task}.manifest.json"
    output.parent.mkdir(exist_ok=True)
    named = [part for manifest in raw for part in ("--raw", manifest)]
    code, said = run("prepare-task", "--task", task, "--tokenizer", study.tokenizer, "--tokens",
                     study.tokens, *named, "--output", output, "--section",
                     json.dumps({"evaluate.samples": {}, "evaluate.words": {}}))  # fmt: skip
    return code, said, output


@pytest.mark.parametrize(
    ("data", "line", "said"),
    [
        (b"Item,Color\nplum,purple\n", 1, "the header is ['Item', 'Color']"),
        (b"", 1, "the file is empty"),
        (HEADER + b"1,a,plum,purple\n2,a,caf\xe9,brown\n", 3, "bytes that are not UTF-8"),
        (HEADER + b"1,a,plum,purple\n2,a,sky,teal\n", 3, "unknown label 'teal'"),
        (HEADER + b"1,a,plum,purple\n\xef\xbb\xbf2,a,sky\n", 3, "a row of 3 fields"),
    ],
)
def test_a_bad_file_is_named_with_its_line(
    run: Run, study: TinyStudy, data: bytes, line: int, said: str
) -> None:
    raw = study.fetched((SOURCE,))
    file = Path(read_manifest(raw[0]).facts["path"])
    file.write_bytes(data)
    code, lines, output = prepare(run, study, SOURCE, raw)
    assert code == 3 and len(lines) == 1, lines
    assert said in lines[0] and f"[{file}:{line}]" in lines[0], lines[0]
    assert not output.exists()


@pytest.mark.parametrize("optional", [True, False])
def test_another_sha256_is_refused_even_of_an_optional_set(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optional: bool
) -> None:
    """One letter of the published table is another: nothing of it is kept."""
    mirrored = load_sources()[SOURCE].pinned_files()[0]
    file = tmp_path / "mirror" / str(mirrored.mirror_path)
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * mirrored.bytes)
    monkeypatch.setenv("VALM_MIRROR", str(tmp_path / "mirror"))
    output = tmp_path / "source.manifest.json"
    code, lines = run("fetch-source", "--source", SOURCE, "--data", tmp_path / "data", "--output",
                      output, *(["--optional"] if optional else []))  # fmt: skip
    assert code == 4 and f"the sha256 of {file.name} differs from the lock" in lines[-1], lines
    assert str(mirrored.mirror_path) in lines[-1]
    assert not output.exists()
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())


def test_a_label_without_tokens_is_an_error_of_the_task(
    run: Run, study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TASKS.get("sst2"), "choices", ("negative", "\t"))
    code, lines, _ = prepare(run, study, "sst2", study.fetched(("sst2",)))
    assert code == 3 and len(lines) == 1
    assert r"'\t' has no tokens in this vocabulary" in lines[0]
    assert "evaluate/tasks/sst2.py:" in lines[0], lines[0]


def test_a_label_without_tokens_of_a_baseline_is_an_error_of_the_baseline(
    run: Run, study: TinyStudy, tmp_path: Path
) -> None:
    """A vocabulary without the letter q knows no square."""
    folder = checkpoints.bert(tmp_path / "bert", ["round"])
    stored = folder / "tokenizer.json"
    words = json.loads(stored.read_text(encoding="utf-8"))
    for entry in ("q", "##q"):
        del words["model"]["vocab"][entry]
    stored.write_text(json.dumps(words), encoding="utf-8")
    output = tmp_path / "shape.manifest.json"
    code, lines = run("evaluate-baseline", "--baseline", "masked_lm", "--checkpoint", folder,
                      "--task", "shape", "--request", study.prepare("shape"), "--output", output)  # fmt: skip
    assert code == 3 and "'square' has no tokens of its own" in lines[-1], lines
    assert str(folder) in lines[-1] and not output.exists()


def test_a_set_that_cannot_be_had_is_named_with_the_reason_to_the_last_table(
    run: Run, study: TinyStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From fetching to the report's table; the other tasks are scored."""
    from valm.report.tables.scores import results_table

    monkeypatch.setenv("VALM_MIRROR", str(tmp_path / "nothing"))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    raw = tmp_path / f"{SOURCE}.manifest.json"
    fetch = ["fetch-source", "--source", SOURCE, "--data", tmp_path / "data", "--output", raw]
    code, lines = run(*fetch)
    assert code == 7 and lines[-1].startswith("error: the address cannot be reached"), lines
    code, lines = run(*fetch, "--optional")
    assert code == 0
    reason = read_manifest(raw).facts["reason"]
    assert reason
    code, lines, missing = prepare(run, study, SOURCE, [raw])
    assert code == 0 and any(reason in line for line in lines), lines
    there = study.prepare("shape")
    predictions = [study.evaluate("gpt2_star", "none", "shape", there)]
    predictions.append(study.evaluate("gpt2_star", "none", SOURCE, missing))
    tables = study.score(predictions, [there, missing])
    scores = tables["scores"]
    assert set(scores.filter(pl.col("status") == "measured")["task"]) == {"shape"}
    assert html.escape(f"not measured: {reason}") in results_table(scores).html


def unreachable(*_: object, **__: object) -> object:
    raise urllib.error.URLError("the network is unreachable")


def test_the_tiny_files_that_are_damaged_here_are_good(run: Run, study: TinyStudy) -> None:
    """What fails above fails for the damage alone."""
    assert SOURCE in FILES
    code, lines, output = prepare(run, study, SOURCE, study.fetched((SOURCE,)))
    assert code == 0 and read_manifest(output).facts["status"] == "measured", lines
