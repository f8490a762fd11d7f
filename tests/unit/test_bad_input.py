"""What does not go together ends in one line that names both sides, by the real command line, before any work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from builders.checkout import ROOT
from builders.encoders import FakeEncoder
from builders.evaluation import STUDY, TinyStudy
from builders.image_shards import open_clip_encoder, write_tar
from builders.retrieval import (
    retrieve_job,
    unit_vectors,
    write_index,
    write_stream,
    write_vectors,
)
from builders.streams import make_streams, training_job

from valm.cli.main import main
from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.retrieve.neighbours import find_neighbours

Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run ``valm`` as the command does; its exit code and its one line on stderr."""

    def run(*words: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["valm", *map(str, words)])
        monkeypatch.setattr(logger, "handlers", [])  # not those that other tests have left
        with pytest.raises(SystemExit) as ended:
            main()
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert line.startswith("error: ")
        return int(ended.value.code or 0), line

    return run


def variant(**keys: Any) -> dict[str, Any]:
    valm = {"name": "valm", "fusion": {"name": "joint"}, "pictures": "retrieved"}
    return {"models": {"variants": [valm | keys]}}


@pytest.mark.parametrize(
    ("over", "words"),
    [
        (variant(preset="fixt"), ["'valm'", "'fixt'", "did you mean 'fixed'"]),
        (
            {"retrieve": {"presets": [{"name": "parity", "index": "exakt"}]}},
            ["'exakt'", "'parity'", "did you mean 'exact'"],
        ),
        (variant(top_k=9), ["reads 9 pictures", "retrieve.top_k finds 4"]),
        (
            variant(fusion={"name": "joint", "params": {"layer_from_end": 5}}),
            ["layer 5 from the end", "the trunk has 4"],
        ),
        (
            {"embed": {"encoder": {"name": "open_clip"}}},
            ["open_clip reads CLIP's vocabulary", "'bpe'"],
        ),
        (
            {"retrieve": {"presets": [{"name": "parity", "query": {"scheme": "chunks"}}]}},
            ["CLIP's punctuation", "'bpe'"],
        ),
    ],
)
def test_settings_that_do_not_go_together(
    said: Said, tmp_path: Path, over: dict[str, Any], words: list[str]
) -> None:
    file = tmp_path / "over.yaml"
    comparisons = {"evaluate": {"statistics": {"comparisons": []}}}
    file.write_text(yaml.safe_dump(over | comparisons), encoding="utf-8")
    code, line = said(
        "describe", "--study", "small", "--config", ROOT / "config.yaml", "--config", file
    )
    assert code == 2
    assert [word for word in words if word not in line] == []


def test_a_preset_that_is_not_there(said: Said, tmp_path: Path) -> None:
    nothing, output = tmp_path / "nothing.manifest.json", tmp_path / "train.manifest.json"
    given = [f"--{name}={nothing}" for name in ("tokens", "encoder", "vectors", "index")]
    words = ["find-neighbours", "--preset", "fixt", "--split", "train", *given]
    code, line = said(*words, "--output", output, "--config", ROOT / "config.yaml")
    assert code == 2 and "'fixt'" in line and "did you mean 'fixed'" in line


@pytest.mark.parametrize("missing", ["valid.manifest.json", "valid.ids.npy", "valid.values.npy"])
def test_a_missing_table_of_neighbours(
    said: Said, tmp_path: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    streams, output = make_streams(tmp_path), tmp_path / "out" / "model.manifest.json"
    found = streams.pictures.neighbours
    (tmp_path / "neighbours" / missing).unlink()
    code, line = said(
        "train-model", "--model", "valm", "--seed", 1, "--tokens", streams.tokens,
        "--neighbours-train", found["train"], "--neighbours-valid", found["valid"],
        "--vectors", streams.pictures.vectors, "--output", output,
        "--section", json.dumps(dict(training_job("valm").section)),
    )  # fmt: skip
    assert code == 3 and missing in line and "run the study again" in line
    assert not output.exists()


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    return TinyStudy(tmp_path_factory.mktemp("study"))


def ask(said: Said, study: TinyStudy, vectors: Path, request: Path) -> tuple[int, str]:
    """Ask a VaLM of the tiny study the questions of a prepared task."""
    section = section_for(parse_study(STUDY), "evaluate-model", model="valm", task="size")
    pictures = study.illustrate("size", study.prepare("size"))
    output = study.folder / "asked" / "size.manifest.json"
    said_it = said(
        "evaluate-model", "--model", "valm", "--task", "size", "--request", request,
        "--models", study.models("valm", "joint")[0], "--pictures", pictures,
        "--vectors", vectors, "--output", output, "--section", json.dumps(section),
    )  # fmt: skip
    assert not output.exists()
    return said_it


def test_a_model_of_another_vocabulary(said: Said, study: TinyStudy) -> None:
    request = study.prepare("size")
    text = request.read_text(encoding="utf-8")
    known = int(read_manifest(request).facts["vocabulary_size"])
    other = request.with_name("other.manifest.json")
    other.write_text(
        text.replace(f'"vocabulary_size": {known}', f'"vocabulary_size": {known + 4}'),
        encoding="utf-8",
    )
    assert read_manifest(other).facts["vocabulary_size"] == known + 4
    code, line = ask(said, study, study.vectors, other)
    assert code == 3
    assert f"knows {known:,} token ids" in line and f"given {known + 4:,}" in line


def test_a_model_of_other_picture_vectors(said: Said, study: TinyStudy, tmp_path: Path) -> None:
    values = np.load(study.vectors.with_name("values.npy"))
    vectors = tmp_path / study.vectors.name
    vectors.write_bytes(study.vectors.read_bytes())
    np.save(tmp_path / "values.npy", np.repeat(values, 2, axis=1))
    code, line = ask(said, study, vectors, study.prepare("size"))
    width = values.shape[1]
    assert code == 3
    assert f"knows {width} values of a picture" in line and f"given {2 * width}" in line


def test_an_encoder_of_another_vocabulary(said: Said, tmp_path: Path) -> None:
    job, made = Job("test", {}, "c0de"), {}
    for place, (kind, facts) in enumerate((("encoder", {"encoder": "two_tower"}), ("tokens", {}))):
        tokenizer = tmp_path / kind / "tokenizer.manifest.json"
        job.finish(tokenizer, kind="tokenizer", rows=4096 + place, files=[])
        made[kind] = tmp_path / f"{kind}.manifest.json"
        job.finish(made[kind], kind=kind, rows=1, files=[], parents=[tokenizer], facts=facts)
    output = tmp_path / "train.manifest.json"
    words = ["find-neighbours", "--preset", "fixed", "--split", "train", "--output", output]
    given = [f"--{name}={made['tokens']}" for name in ("vectors", "index")]
    given += [f"--{kind}={manifest}" for kind, manifest in made.items()]
    code, line = said(*words, *given, "--config", ROOT / "config.yaml")
    assert code == 3
    assert "tokens.manifest.json is written in" in line and "encoder.manifest.json" in line


def index_of(
    said: Said, vectors: Path, output: Path, factory: str = "IVF4,PQ4x4"
) -> tuple[int, str]:
    section = {"retrieve.indices": [{"name": "exact", "factory": factory}], "seed": 1}
    return said("build-index", "--vectors", vectors, "--index", "exact", "--output", output,
                "--section", json.dumps(section))  # fmt: skip


def of_all(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("rows", "broken", "code", "words"),
    [
        (0, None, 3, ["there are no pictures to search", "give the study pictures"]),
        (9, None, 2, ["centroids of the product quantiser cannot be trained on 9", "PQ4x3"]),
        (3, None, 2, ["4 inverted lists cannot be trained on 3 pictures", "use IVF1"]),
        (60, np.nan, 3, ["1 picture keys hold NaN or infinity", "keys.npy", "embed the pictures"]),
        (60, np.inf, 3, ["1 picture keys hold NaN or infinity", "keys.npy", "embed the pictures"]),
    ],
)
def test_vectors_that_no_index_can_hold_leave_the_one_that_there_is(
    said: Said, tmp_path: Path, rows: int, broken: float | None, code: int, words: list[str]
) -> None:
    made = write_index(tmp_path / "indices", write_vectors(tmp_path / "good", unit_vectors(60)))
    before = of_all(made.parent)
    keys = unit_vectors(rows)
    if broken is not None:
        keys[5, 2] = broken
    vectors = write_vectors(tmp_path / "bad", keys)
    told, line = index_of(said, vectors, made)
    assert told == code and [word for word in words if word not in line] == []
    assert of_all(made.parent) == before


def test_a_folder_of_shards_without_a_picture(said: Said, tmp_path: Path) -> None:
    encoder, output = (
        open_clip_encoder(tmp_path / "encoder"),
        tmp_path / "out/vectors.manifest.json",
    )
    raw = tmp_path / "raw"
    raw.mkdir()
    given = ["embed-shards", "--shards", raw, "--encoder", encoder, "--output", output]
    code, line = said(*given, "--workers", 0)
    assert code == 3 and "there are no tar files" in line
    write_tar(raw / "00000.tar", {"1.txt": b"a caption", "2.jpg": b"<html>not found</html>"})
    code, line = said(*given, "--workers", 0)
    assert code == 3 and "not one picture could be used" in line and "not_a_picture" in line
    assert not output.exists()


@pytest.mark.parametrize("damage", ["a bit", "its end", "all of it"])
def test_a_corrupted_index_is_not_searched_and_finished_tables_stay(
    said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    monkeypatch.setattr("valm.retrieve.neighbours.load_encoder", lambda manifest: FakeEncoder())
    vectors = write_vectors(tmp_path / "vectors", unit_vectors(60))
    index, tables = write_index(tmp_path / "indices", vectors), tmp_path / "tables"
    encoder, job = tmp_path / "encoder.manifest.json", retrieve_job("find-neighbours")
    job.finish(encoder, kind="encoder", rows=0, files=[], facts={"encoder": "two_tower"})
    made = {"tokens": write_stream(tmp_path / "tokens", [[1, 2, 3], [4, 5]]), "vectors": vectors,
            "encoder": encoder, "index": index}  # fmt: skip
    find_neighbours(job, split="valid", **made, output=tables / "valid.manifest.json")
    before, file = of_all(tables), index.with_name("exact.faiss")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes({"a bit": data, "its end": data[:-9], "all of it": b""}[damage])
    inputs = [f"--{name}={manifest}" for name, manifest in made.items()]
    code, line = said(
        "find-neighbours", "--preset=fixed", "--split=train", *inputs,
        "--output", tables / "train.manifest.json", "--section", json.dumps(dict(job.section)),
    )  # fmt: skip
    assert code == 4 and "exact.faiss" in line and "->" in line
    assert before and of_all(tables) == before


@pytest.mark.parametrize("other", ["tokens", "vectors"])
def test_a_table_for_other_tokens_of_the_same_number(
    said: Said, tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    streams, output = make_streams(tmp_path), tmp_path / "out" / "model.manifest.json"
    found = streams.pictures.neighbours
    changed = {"tokens": streams.tokens, "vectors": streams.pictures.vectors}[other]
    text = changed.read_text(encoding="utf-8")
    changed.write_text(text.replace('"producer": "test"', '"producer": "else"'), encoding="utf-8")
    code, line = said(
        "train-model", "--model", "valm", "--seed", 1, "--tokens", streams.tokens,
        "--neighbours-train", found["train"], "--neighbours-valid", found["valid"],
        "--vectors", streams.pictures.vectors, "--output", output,
        "--section", json.dumps(dict(training_job("valm").section)),
    )  # fmt: skip
    what = {"tokens": "for other tokens", "vectors": "among other pictures"}[other]
    assert code == 4 and what in line and "run the study again" in line
    assert not output.exists()
