"""What an exported folder says of its model, what it may carry, and what is no export at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import polars as pl
import pytest
import torch
from builders.exported import run_export
from builders.retrieval import unit_vectors
from builders.trained import PICTURES, Trained, make_trained

from valm.core.manifest import verify_files
from valm.errors import InputError
from valm.export.hugging_face import export_model
from valm.export.valm_retriever import Retriever
from valm.retrieve.index import Searcher


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("results"))


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "hf"
    assert run_export(trained, folder).exit_code == 0
    return folder


def test_a_retracted_picture_is_not_carried_along(trained: Trained, tmp_path: Path) -> None:
    taken_down = tmp_path / "retracted.tsv"
    taken_down.write_text("drawn\tdrawing 4\n", encoding="utf-8")  # picture 3
    early = run_export(trained, tmp_path / "early", "--retracted", str(taken_down))
    assert isinstance(early.exception, InputError) and "holds 1 pictures" in str(early.exception)
    assert not (tmp_path / "early").exists()
    again = make_trained(tmp_path / "again", taken_down=taken_down)
    assert run_export(again, tmp_path / "hf", "--retracted", str(taken_down)).exit_code == 0
    carried = tmp_path / "hf/retriever"
    index = faiss.read_index(str(carried / "index.faiss"))
    _, found = index.search(unit_vectors(5, index.d), PICTURES)
    assert set(found.ravel().tolist()) == {-1, *range(PICTURES)} - {3}
    values = np.load(carried / "values.npy")
    whole = np.load(again.vectors.with_name("values.npy"))
    assert not values[3].any() and np.array_equal(np.delete(values, 3, 0), np.delete(whole, 3, 0))
    captions = pl.read_parquet(carried / "captions.parquet")
    assert captions["id"].to_list() == list(range(PICTURES))
    assert captions["name"][4] and set(captions.row(3)) == {3, ""}


@pytest.mark.parametrize(("similarity", "floor"), [("inner_product", 0.35), ("l2", -1.3)])
def test_pictures_below_the_smallest_score_are_not_found_there_either(
    tmp_path: Path, similarity: str, floor: float
) -> None:
    made = make_trained(tmp_path / "results", similarity=similarity, minimum_score=floor)
    assert run_export(made, tmp_path / "hf").exit_code == 0
    retriever = Retriever(tmp_path / "hf/retriever")
    text = torch.arange(40).reshape(1, 40)
    keys = retriever.states(text)[0].numpy()
    wanted, _, mask = Searcher(made.vectors, made.index).search(keys, retriever.top_k)
    assert 0 < mask.sum() < mask.size
    assert np.array_equal(retriever.pictures(text)[0], wanted)


def test_the_card_states_what_manifests_state(trained: Trained, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    lines = card.splitlines()
    assert (
        "| wordlist | words \\| &lt;b&gt;and&lt;/b&gt; more | npm wordlist==1.0.0 | CC0-1.0 |"
        in lines
    )
    assert (
        "| Colour of things | accuracy | corrected | VaLM | 25.1 [20.0, 30.0] | 11.0 | 12.5 | 121 |"
        in lines
    )
    assert "77.7" not in card and "88.8" not in card
    for path in trained.results.rglob("*.manifest.json"):
        if path.parent.name != "evaluate":
            assert verify_files(path).digest in card
    verify_files(exported / "export.manifest.json")


def test_the_data_card_of_the_study_goes_along(exported: Path) -> None:
    card = (exported / "DATA_CARD.md").read_text()
    assert (
        "| wordlist | words \\| &lt;b&gt;and&lt;/b&gt; more | npm wordlist==1.0.0 | CC0-1.0 |"
        in card
    )
    assert "DATA_CARD.md" in (exported / "README.md").read_text()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "hf"


def test_scores_of_another_training_are_not_shown(tmp_path: Path, folder: Path) -> None:
    made = make_trained(tmp_path / "results", fusion="none")
    make_trained(tmp_path / "other")
    (tmp_path / "results/evaluate/scores.manifest.json").write_bytes(
        (tmp_path / "other/evaluate/scores.manifest.json").read_bytes()
    )
    export_model(model=made.model, results=made.results, output=folder)
    card = (folder / "README.md").read_text()
    assert "another training" in card and "25.1" not in card
    assert not (folder / "retriever").exists()
    with pytest.raises(InputError, match=r"without pictures.*without --retriever"):
        export_model(model=made.model, results=made.results, output=folder, retriever=True)
    with pytest.raises(InputError, match=r"tokenizer.*found 0.*--results"):
        export_model(model=made.model, results=tmp_path / "none", output=folder)


def test_what_cannot_be_exported_is_refused_and_nothing_is_lost(
    trained: Trained, tmp_path: Path, folder: Path
) -> None:
    def export(**options: object) -> None:
        export_model(model=trained.model, results=trained.results, output=folder, **options)

    folder.mkdir()
    (folder / "thesis.tex").touch()
    with pytest.raises(InputError, match="is no export"):
        export()
    assert (folder / "thesis.tex").exists()
    (folder / "thesis.tex").unlink()
    export()
    export()
    verify_files(folder / "export.manifest.json")
    other = make_trained(tmp_path / "results", encoder="open_clip")
    with pytest.raises(InputError, match=r"open_clip.*not carried"):
        export_model(
            model=other.model, results=other.results, output=tmp_path / "b", retriever=True
        )
    chunks = make_trained(tmp_path / "chunks", query={"scheme": "chunks"})
    with pytest.raises(InputError, match=r"by chunks, which no exported retriever forms"):
        export_model(
            model=chunks.model, results=chunks.results, output=tmp_path / "c", retriever=True
        )
    assert not (tmp_path / "c").exists()
