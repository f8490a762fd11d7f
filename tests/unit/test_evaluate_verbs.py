"""The verbs of evaluate from a tiny study's files to its score tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from builders.encoders import FakeEncoder
from builders.retrieval import retrieve_job, unit_vectors, write_encoder, write_index, write_vectors
from builders.texts import make_tokenizer, make_tokens, write_source

from valm.config.phases import Query
from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.evaluate import illustrate
from valm.evaluate.illustrate import TaskPictures, illustrate_task
from valm.evaluate.predict import Shown, evaluate_model
from valm.evaluate.prepare import prepare_task
from valm.evaluate.prepared import read_requests
from valm.evaluate.score import score_models
from valm.ingest.tokenizer import load_tokenizer
from valm.ingest.tokens import TokenStream
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import Neighbours
from valm.retrieve.queries import token_states
from valm.train.saved_model import save_model

CONTEXT = 24
STUDY: dict[str, Any] = {
    "models": {"trunk": {"layers": 2, "width": 16, "heads": 2, "context_tokens": CONTEXT}},
    "retrieve": {"query": {"window_tokens": 12, "stride_tokens": 6}, "top_k": 3},
    "evaluate": {"controls": ["permuted", "zero"], "statistics": {"bootstrap_samples": 100}},
}
SENTENCES = [
    f"the {thing} number {n} is a round and rather {colour} one, they said"
    for n in range(40)
    for thing, colour in (("plum", "purple"), ("frog", "green"), ("cup", "white"))
]


class TinyStudy:
    """Everything that the evaluate verbs read, in one folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        text = write_source(folder, "sentences", SENTENCES)
        self.tokenizer = make_tokenizer(folder, [text])
        split = {"valid_fraction": 0.1, "test_fraction": 0.3}
        self.tokens = make_tokens(folder, [text], self.tokenizer, split=split)
        self.vectors = write_vectors(folder / "vectors", unit_vectors(30))
        values = np.random.default_rng(1).normal(size=(30, FakeEncoder.value_width))
        np.save(folder / "vectors" / "values.npy", values.astype(np.float16))
        self.index = write_index(folder / "indices", self.vectors)
        self.encoder = write_encoder(folder / "encoder")
        self.fake = FakeEncoder(vocabulary_size=load_tokenizer(self.tokenizer).vocabulary_size)

    def job(self, verb: str, **choices: str) -> Job:
        return Job(verb, section_for(parse_study(STUDY), verb, **choices), "c0de", choices)

    def prepare(self, task: str, raw: list[Path] | None = None) -> Path:
        output = self.folder / "tasks" / f"{task}.manifest.json"
        prepare_task(
            self.job("prepare-task", task=task), task=task, raw=raw or [],
            tokenizer=self.tokenizer, tokens=self.tokens, output=output,
        )  # fmt: skip
        return output

    def illustrate(self, task: str, request: Path) -> Path:
        output = self.folder / "pictures" / f"{task}.manifest.json"
        illustrate_task(
            self.job("illustrate-task", task=task), request=request, encoder=self.encoder,
            vectors=self.vectors, index=self.index, output=output,
        )  # fmt: skip
        return output

    def models(self, name: str, fusion: str) -> list[Path]:
        vocabulary = load_tokenizer(self.tokenizer).vocabulary_size
        manifests = []
        for seed in (1, 2):
            trunk = TrunkConfig(layers=2, width=16, heads=2, context_tokens=CONTEXT)
            width = FakeEncoder.value_width
            model = LanguageModel(trunk, make_fusion(fusion, {}), vocabulary, width)
            initialise(model, seed)
            folder = self.folder / "train" / name / f"seed{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            files = save_model(folder, model, {"seed": seed})
            manifests.append(folder / "model.manifest.json")
            retrieve_job("find-neighbours").finish(manifests[-1], kind="model", rows=1, files=files)
        return manifests

    def evaluate(self, model: str, fusion: str, task: str, request: Path) -> Path:
        output = self.folder / "predictions" / model / f"{task}.manifest.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        shown = None if fusion == "none" else Shown(self.illustrate(task, request), self.vectors)
        evaluate_model(
            self.job("evaluate-model", model=model, task=task), model=model, task=task,
            request=request, models=self.models(model, fusion), output=output, shown=shown,
        )  # fmt: skip
        return output

    def score(self, predictions: list[Path], requests: list[Path]) -> dict[str, pl.DataFrame]:
        output = self.folder / "scores.manifest.json"
        score_models(
            self.job("score-models"), predictions=predictions, requests=requests, output=output
        )
        tables = ("scores", "comparisons", "per_prompt")
        return {name: pl.read_parquet(self.folder / f"{name}.parquet") for name in tables}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TinyStudy:
    made = TinyStudy(tmp_path)
    monkeypatch.setattr(illustrate, "load_encoder", lambda manifest: made.fake)
    return made


def test_a_passage_gets_the_pictures_that_it_has_in_the_token_stream(study: TinyStudy) -> None:
    request = study.prepare("held_out_text")
    requests, _ = read_requests(request)
    pictures = TaskPictures.read(study.illustrate("held_out_text", request))
    stream = TokenStream.open(study.tokens, "test")
    query = Query.model_validate(STUDY["retrieve"]["query"])
    states = next(iter(token_states(study.fake, stream.tokens, stream.documents, query)))
    expected = Neighbours.of(states, Searcher(study.vectors, study.index), 3)
    inside = np.ones(len(requests.tokens), bool)
    inside[requests.offsets[:-1]] = False  # the end of text in front of each passage
    np.testing.assert_array_equal(requests.tokens[inside], stream.tokens)
    np.testing.assert_array_equal(pictures.ids[inside], expected.ids)
    np.testing.assert_array_equal(pictures.values[inside], expected.values)
    end = load_tokenizer(study.tokenizer).end_of_text
    assert set(requests.tokens[~inside].tolist()) == {end}


def test_from_requests_to_tables(study: TinyStudy) -> None:
    requests = {task: study.prepare(task) for task in ("shape", "held_out_text")}
    predictions = [
        study.evaluate(model, fusion, task, request)
        for model, fusion in (("gpt2_star", "none"), ("valm", "joint"))
        for task, request in requests.items()
    ]
    tables = study.score(predictions, list(requests.values()))
    scores = tables["scores"]
    rivals = set(scores.select("model", "control").unique().iter_rows())
    controls = ("own", "permuted", "zero")
    assert rivals == {("gpt2_star", "own")} | {("valm", control) for control in controls}
    corrected = scores.filter(definition="corrected", seed=-1, status="measured")
    assert json.loads((study.folder / "metrics.json").read_text(encoding="utf-8")) == {
        task: {
            metric: {
                model if control == "own" else f"{model}:{control}": value
                for model, control, value in of_metric.select("model", "control", "value").rows()
            }
            for (metric,), of_metric in of_task.group_by("metric")
        }
        for (task,), of_task in corrected.group_by("task")
    }
    assert set(scores["seed"]) == {-1, 1, 2}
    assert scores["value"].is_between(scores["low"] - 1e-9, scores["high"] + 1e-9).all()
    # An untrained model knows about as much as a uniform one.
    perplexity = scores.filter((pl.col("metric") == "perplexity") & (pl.col("seed") == -1))
    vocabulary = load_tokenizer(study.tokenizer).vocabulary_size
    legacy = perplexity.filter(pl.col("definition") == "legacy")["value"]
    assert legacy.is_between(vocabulary / 3, vocabulary * 3).all()
    pairs = set(tables["comparisons"].select("second_model", "second_control").iter_rows())
    assert pairs == {("gpt2_star", "own"), ("valm", "permuted")}
    assert (tables["comparisons"]["p_holm"] >= tables["comparisons"]["p"]).all()
    by_prompt = tables["per_prompt"].filter(pl.col("definition") == "legacy")
    assert by_prompt["prompt"].n_unique() == 5
    shape = scores.filter((pl.col("task") == "shape") & (pl.col("definition") == "legacy"))
    for row in shape.filter(pl.col("seed") != -1).to_dicts():
        same = {name: row[name] for name in ("model", "control", "seed")}
        assert by_prompt.filter(**same)["value"].mean() == pytest.approx(row["value"])


def test_the_same_inputs_give_the_same_bytes(study: TinyStudy) -> None:
    request = study.prepare("shape")
    first = study.evaluate("valm", "joint", "shape", request)
    before = first.read_bytes(), request.read_bytes()
    assert (study.evaluate("valm", "joint", "shape", study.prepare("shape")).read_bytes(),
            request.read_bytes()) == before  # fmt: skip


def test_a_task_whose_data_is_missing_is_told_of_to_the_end(study: TinyStudy) -> None:
    raw = study.folder / "memory_color.manifest.json"
    facts = {"available": False, "reason": "no net and no mirror", "path": "data/x.csv"}
    retrieve_job("find-neighbours").finish(raw, kind="source", rows=0, files=[], facts=facts)
    request = study.prepare("memory_color", [raw])
    assert read_manifest(request).facts["status"] == "unavailable"
    prediction = study.evaluate("valm", "joint", "memory_color", request)
    assert prediction.with_name("memory_color.parquet").is_file()
    tables = study.score([prediction], [request])
    assert set(tables["scores"]["status"]) == {"unavailable"}
    assert set(tables["scores"]["note"]) == {"no net and no mirror"}
    assert tables["scores"]["value"].is_null().all()
    assert tables["comparisons"].is_empty() and tables["per_prompt"].is_empty()
