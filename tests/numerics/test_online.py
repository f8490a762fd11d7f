"""Pictures that are found while a model is trained are those of the table, bit for bit."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.encoders import TowerEncoder
from builders.online import Faked
from builders.retrieval import (
    PRESET,
    random_documents,
    retrieve_job,
    unit_vectors,
    write_encoder,
    write_index,
    write_retracted,
    write_stream,
    write_vectors,
)
from builders.streams import training_job

from valm.config.retrieve import Preset
from valm.errors import ConfigError, InputError
from valm.retrieve import neighbours, online
from valm.retrieve.given import draws
from valm.retrieve.neighbours import Neighbours, find_neighbours
from valm.retrieve.online import OnlineRetrieval
from valm.retrieve.showable import Showable
from valm.train.fit import train_model
from valm.train.inputs import TRAIN, VALID, PictureFiles

PICTURES, TOP_K = 90, 3
DOCUMENTS = random_documents(60, longest=90, seed=2)
CAME_WITH = [(document, document % PICTURES) for document in range(0, 60, 2)]
VALM = {"name": "valm", "fusion": {"name": "joint"}}


@dataclass(frozen=True)
class Study:
    """Where the inputs of a training lie."""

    folder: Path
    online: Faked
    cached: PictureFiles

    def train(self, name: str, files: PictureFiles, **variant: Any) -> tuple[bytes, list[Any]]:
        """What training writes: the weights, and the losses on its way."""
        changes = {"models": {"variants": [VALM | variant]}, "train": {"steps": 7}}
        changes |= {"retrieve": {"top_k": TOP_K, "presets": [{"name": PRESET}]}}
        output = self.folder / name / "model.manifest.json"
        train_model(
            training_job("valm", changes=changes),
            model="valm", seed=1, tokens=self.online.tokens, pictures=files, output=output,
        )  # fmt: skip
        history = output.with_name("metrics.jsonl").read_text(encoding="utf-8").splitlines()
        losses = [[json.loads(line)[n] for n in ("loss", "valid_loss")] for line in history]
        return output.with_name("model.safetensors").read_bytes(), losses


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(neighbours, "load_encoder", lambda manifest: TowerEncoder())
    monkeypatch.setattr(neighbours, "BLOCK_TOKENS", 700)
    monkeypatch.setattr(online, "BLOCK_TOKENS", 100)
    vectors = write_vectors(tmp_path / "vectors", unit_vectors(PICTURES, TowerEncoder.key_width))
    np.save(vectors.with_name("values.npy"), unit_vectors(PICTURES, TowerEncoder.value_width, 5))
    tokens = write_stream(tmp_path / "tokens", DOCUMENTS, CAME_WITH)
    inputs = {
        "tokens": tokens,
        "encoder": write_encoder(tmp_path / "encoder"),
        "vectors": vectors,
        "index": write_index(tmp_path / "indices", vectors, "IVF4,Flat", nprobe=2),
    }
    tables = {}
    for split in (TRAIN, VALID):
        tables[split] = tmp_path / "neighbours" / f"{split}.manifest.json"
        job = retrieve_job("find-neighbours", top_k=TOP_K)
        find_neighbours(job, split=split, **inputs, output=tables[split])
    found = Faked(**inputs, preset=Preset(name=PRESET), top_k=TOP_K)
    return Study(tmp_path, found, PictureFiles(vectors, tables))


def test_tokens_in_any_order_and_company_get_what_the_table_holds(study: Study) -> None:
    table = Neighbours.open(study.cached.neighbours[TRAIN])
    positions = np.random.default_rng(4).permutation(len(table.ids))[:600]
    for batch in (positions, positions[:1], positions[77:90]):
        found = online._search(study.online, TRAIN).at(batch)
        for column in neighbours.COLUMNS:
            assert getattr(found, column).tobytes() == getattr(table, column)[batch].tobytes()
    own = np.repeat(np.arange(60), [len(document) for document in DOCUMENTS])
    assert not (table.ids == np.where(own % 2, -2, own)[:, np.newaxis]).any()


@pytest.mark.parametrize("pictures", ["retrieved", "permuted", "random", "zero", "text_state"])
def test_a_model_is_the_same_with_any_control(study: Study, pictures: str) -> None:
    retracted = write_retracted(study.folder, [3, 40])
    cached = study.train("cached", replace(study.cached, retracted=retracted), pictures=pictures)
    found = PictureFiles(study.cached.vectors, {}, study.online, retracted)
    assert study.train("online", found, pictures=pictures) == cached
    everything = study.train("everything", study.cached, pictures=pictures)
    assert (everything != cached) == draws(pictures)


def test_a_model_may_read_fewer_pictures_and_no_more(study: Study) -> None:
    found = PictureFiles(study.cached.vectors, {}, study.online)
    cached, live = (
        study.train(name, files, pictures="retrieved", top_k=2)
        for name, files in (("cached", study.cached), ("online", found))
    )
    assert live == cached
    with pytest.raises(InputError, match=r"reads 4 pictures a token, 3 are found"):
        study.train("more", found, pictures="retrieved", top_k=4)


@pytest.mark.slow
def test_processes_that_search_side_by_side_find_the_same(study: Study) -> None:
    asked = [np.arange(first, first + 60).reshape(3, 20) for first in range(0, 600, 60)]
    ways = [
        list(way.given(TRAIN, asked, "retrieved", None, Showable(PICTURES), seed=1))
        for way in (study.online, Faked(**vars(study.online) | {"processes": 2}))
    ]
    for (here, one), (there, two) in zip(*ways, strict=True):
        assert np.array_equal(here, there) and one.ids is not None and two.ids is not None
        assert np.array_equal(one.ids, two.ids) and np.array_equal(one.mask, two.mask)


def test_an_index_beside_a_preset_with_tables_is_refused(study: Study) -> None:
    ways = study.online
    with pytest.raises(ConfigError, match=r"lie in tables .*set it to online"):
        OnlineRetrieval.of(
            training_job("valm"), ways.tokens, ways.encoder, ways.vectors, ways.index
        )
