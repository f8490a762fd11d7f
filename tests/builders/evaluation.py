"""Everything that the evaluate verbs read, in one folder, and the verbs to run on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import polars as pl
from builders.encoders import FakeEncoder
from builders.pictures import drawing, drawn_list
from builders.retrieval import (
    PRESET,
    retrieve_job,
    unit_vectors,
    write_encoder,
    write_index,
    write_vectors,
)
from builders.task_files import task_files
from builders.texts import make_tokenizer, make_tokens, write_source

from valm.config.study import parse_study
from valm.config.verbs import section_for
from valm.core.job import Job
from valm.evaluate.answers import illustrate
from valm.evaluate.answers.illustrate import illustrate_task
from valm.evaluate.answers.predict import Shown, evaluate_model
from valm.evaluate.questions.definitions import TASKS
from valm.evaluate.questions.prepare import prepare_task
from valm.evaluate.scores.score import score_models
from valm.ingest.picture_sources import RawPicture
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.models.fusion import make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.train.saved_model import save_model

CONTEXT = 24
STUDY: dict[str, Any] = {
    "models": {"trunk": {"layers": 2, "width": 16, "heads": 2, "context_tokens": CONTEXT}},
    "retrieve": {
        "presets": [{"name": PRESET, "query": {"window_tokens": 12, "stride_tokens": 6}}],
        "top_k": 3,
    },
    "evaluate": {
        "controls": ["permuted", "zero", "none", "oracle"],
        "statistics": {"bootstrap_samples": 100},
    },
}
SENTENCES = [
    f"the {thing} number {n} is a round and rather {colour} one, they said"
    for n in range(40)
    for thing, colour in (("plum", "purple"), ("frog", "green"), ("cup", "white"))
]

DRAWN = [
    RawPicture(drawing(n), name, (name,), f"drawing {n}", (), "CC0")
    for n, name in enumerate(
        ["plum", "frogs", "tower", "clock", *(f"thing {n}" for n in range(26))]
    )
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
        self.pictures = drawn_list(folder / "pictures", len(DRAWN), DRAWN)
        self.encoder = write_encoder(folder / "encoder")
        self.fake = FakeEncoder(vocabulary_size=load_tokenizer(self.tokenizer).vocabulary_size)

    def job(self, verb: str, **choices: str) -> Job:
        return Job(verb, section_for(parse_study(STUDY), verb, **choices), "c0de", choices)

    def prepare(
        self,
        task: str,
        raw: list[Path] | None = None,
        samples: dict[str, int | None] | None = None,
        words: dict[str, int | None] | None = None,
    ) -> Path:
        """Prepare a task from its (tiny) raw files."""
        output = self.folder / "tasks" / f"{task}.manifest.json"
        raw = self.fetched(TASKS.get(task).raw) if raw is None else raw
        job = self.job("prepare-task", task=task)
        named = {"evaluate.samples": samples or {}, "evaluate.words": words or {}}
        job = replace(job, section=job.section | named)
        prepare_task(
            job, task=task, raw=raw, tokenizer=self.tokenizer,
            tokens=self.tokens, output=output,
        )  # fmt: skip
        return output

    def illustrate(self, task: str, request: Path) -> Path:
        """Find the pictures of a prepared task."""
        output = self.folder / "pictures" / f"{task}.manifest.json"
        with patch.object(illustrate, "load_encoder", lambda manifest: self.fake):
            illustrate_task(
                self.job("illustrate-task", preset=PRESET, task=task), request=request, pictures=self.pictures,
                encoder=self.encoder, vectors=self.vectors, index=self.index, output=output,
            )  # fmt: skip
        return output

    def fetched(self, names: tuple[str, ...]) -> list[Path]:
        """Manifests of tiny raw files, as ``fetch-source`` writes them."""
        manifests = []
        for name, file in task_files(self.folder, names).items():
            manifests.append(self.folder / f"{name}.manifest.json")
            facts = {"available": True, "reason": None, "path": str(file)}
            job = retrieve_job("find-neighbours")
            job.finish(manifests[-1], kind="source", rows=1, files=[], facts=facts)
        return manifests

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

    def evaluate(
        self, model: str, fusion: str, task: str, request: Path, retracted: Path | None = None
    ) -> Path:
        output = self.folder / "predictions" / model / f"{task}.manifest.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        shown = None
        if fusion != "none":
            shown = Shown(self.illustrate(task, request), self.vectors, retracted)
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


def finished_results(folder: Path) -> Path:
    """A tiny study's results as the workflow lays them out: shape and held-out text, two models."""
    study = TinyStudy(folder / "made")
    requests = {task: study.prepare(task) for task in ("shape", "held_out_text")}
    answers = [
        study.evaluate(model, fusion, task, request)
        for model, fusion in (("gpt2_star", "none"), ("valm", "joint"))
        for task, request in requests.items()
    ]
    study.score(answers, list(requests.values()))
    evaluate = folder / "results" / "evaluate"
    evaluate.mkdir(parents=True)
    for name in ("tasks", "predictions"):
        (study.folder / name).rename(evaluate / name)
    for path in (*study.folder.glob("scores.*"), study.folder / "metrics.json"):
        path.rename(evaluate / path.name)
    return folder / "results"
