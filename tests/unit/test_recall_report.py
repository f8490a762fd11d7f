"""The recall report, and what happens below a floor."""

import json
from pathlib import Path
from typing import Any

import pytest
from builders.encoders import FakeEncoder
from builders.retrieval import (
    random_documents,
    retrieve_job,
    unit_vectors,
    write_encoder,
    write_stream,
    write_vectors,
)

from valm.core.manifest import read_manifest
from valm.errors import ValmError
from valm.retrieve.index import build_index
from valm.retrieve.recall import measure_recall


def report(folder: Path, monkeypatch: pytest.MonkeyPatch, **floors: float) -> Path:
    """Build an exact and a coarse index of 600 keys and measure both."""
    monkeypatch.setattr("valm.retrieve.recall.load_encoder", lambda manifest: FakeEncoder())
    factories = {"exact": "Flat", "coarse": "IVF8,PQ2x4"}
    entries: list[dict[str, Any]] = [
        {"name": name, "factory": factory, "nprobe": 2, "recall_floor": floors.get(name, 0)}
        for name, factory in factories.items()
    ]
    vectors = write_vectors(folder / "vectors", unit_vectors(600))
    indices = []
    for name in factories:
        indices.append(folder / f"{name}.manifest.json")
        job = retrieve_job("build-index", name, indices=entries)
        build_index(job, vectors=vectors, index=name, output=indices[-1])
    output = folder / "recall.manifest.json"
    measure_recall(
        retrieve_job("measure-recall", indices=entries),
        vectors=vectors,
        indices=indices,
        encoder=write_encoder(folder),
        tokens=write_stream(folder / "tokens", random_documents(30, longest=60)),
        output=output,
    )
    return output


def test_exact_search_recalls_all_and_a_coarse_one_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = report(tmp_path, monkeypatch, exact=1.0)
    exact, coarse = json.loads((tmp_path / "recall.json").read_text())
    assert exact["recall"] == {"1": 1.0, "4": 1.0, "8": 1.0}
    assert 0.05 < coarse["recall"]["4"] < 0.9
    assert (exact["nprobe"], coarse["nprobe"]) == (None, 2)
    assert coarse["bytes_per_vector"] == 9 and coarse["queries_per_second"] > 0
    assert "queries_per_second" not in str(read_manifest(manifest).facts)


def test_below_a_floor_the_study_fails_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = r"index 'coarse' .* recall@4 is 0\.\d+, the floor 0\.950 .* raise nprobe \(now 2\)"
    with pytest.raises(ValmError, match=message):
        report(tmp_path, monkeypatch, coarse=0.95)
    assert (tmp_path / "recall.json").is_file()
    assert not (tmp_path / "recall.manifest.json").exists()
