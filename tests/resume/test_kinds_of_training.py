"""Every objective, masked pictures and published weights: they train, learn, and go on bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from builders.streams import Streams, make_streams, training_job

from valm.core.hub import digest_of_weights
from valm.core.manifest import read_manifest
from valm.errors import ConfigError, IntegrityError
from valm.models.language_model import LanguageModel
from valm.models.objective import OBJECTIVES
from valm.train.fit import train_model
from valm.train.metrics import read_lines
from valm.train.saved_model import load_model
from valm.train.training import Training

VOCABULARY = 50  # of the streams
LOST_PICTURES = {"image_mask_probability": 0.4}
GPT2 = {"layers": 3, "width": 16, "heads": 2, "context_tokens": 8, "positions": "learned"}


class Died(Exception):
    """In the middle of a training."""


@pytest.fixture
def streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Streams:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    return make_streams(tmp_path)


def settings(null_image: bool = True, **variant: Any) -> dict[str, Any]:
    fusion = {"name": "joint", "params": {"null_image": null_image}}
    valm = {"name": "valm", "fusion": fusion, "pictures": "retrieved"} | variant
    return {"models": {"variants": [valm]}, "train": {"precision": "float32", "steps": 80}}


def train(streams: Streams, folder: Path, changes: dict[str, Any]) -> Path:
    output = folder / "model.manifest.json"
    train_model(
        training_job("valm", changes=changes), model="valm", seed=1, tokens=streams.tokens,
        pictures=streams.pictures, output=output,
    )  # fmt: skip
    return output


def die_once_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Training.training_step

    def dying(self: Training, batch: Any, index: int) -> torch.Tensor:
        if self.trainer.global_step == step:
            monkeypatch.setattr(Training, "training_step", original)
            raise Died
        return original(self, batch, index)

    monkeypatch.setattr(Training, "training_step", dying)


@pytest.mark.parametrize("objective", OBJECTIVES.names())
def test_it_learns_and_goes_on_as_undisturbed(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    changes = settings(objective=objective, **LOST_PICTURES)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("VALM_WORK", str(tmp_path / "undisturbed"))
        whole = train(streams, tmp_path / "whole", changes)
    die_once_at(6, monkeypatch)  # two steps behind a checkpoint
    with pytest.raises(Died):
        train(streams, tmp_path / "out", changes)
    again = train(streams, tmp_path / "out", changes)
    assert read_manifest(again).files == read_manifest(whole).files
    losses = [line.loss for line in read_lines(again.with_name("metrics.jsonl"))]
    assert losses[-1] < losses[0] - 0.1
    model, info = load_model(again)
    assert model.objective_name == info["objective"] == objective
    rows = VOCABULARY + (objective == "masked_lm")
    assert len(model.output_embedding) == rows and model.vocabulary_size == VOCABULARY


def test_masked_pictures_are_masked_in_training_only(
    streams: Streams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, list[float]] = {"loss": [], "token_losses": []}

    def watched(name: str) -> Any:
        original = getattr(LanguageModel, name)

        def call(self: LanguageModel, ids: Any, answers: Any, pictures: Any, *more: Any) -> Any:
            seen[name].append(float(pictures.mask.double().mean()))
            return original(self, ids, answers, pictures, *more)

        return call

    for name in seen:
        monkeypatch.setattr(LanguageModel, name, watched(name))
    train(streams, tmp_path / "half", settings(image_mask_probability=0.5))
    masked, whole = (sum(shares) / len(shares) for shares in seen.values())
    assert masked == pytest.approx(whole / 2, rel=0.2)


def published(folder: Path, **sizes: int) -> dict[str, str]:
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(4)
    stated = {"n_layer": 3, "n_embd": 16, "n_head": 2, "n_positions": 8, "vocab_size": VOCABULARY}
    GPT2LMHeadModel(GPT2Config(**stated | sizes)).save_pretrained(folder)
    return {"checkpoint": str(folder), "sha256": digest_of_weights(folder)}


def from_published(start: dict[str, str], **variant: Any) -> dict[str, Any]:
    trunk = GPT2 | {"architecture": "gpt2", "init_from": start}
    changes = settings(**variant)
    # A step of no length shows what it started from.
    changes["train"] |= {"steps": 1, "optimiser": {"learning_rate": 1e-12}}
    return changes | {"models": changes["models"] | {"trunk": trunk}}


def test_it_starts_from_published_weights_and_its_manifest_says_which(
    streams: Streams, tmp_path: Path
) -> None:
    start = published(tmp_path / "gpt2")
    manifest = train(streams, tmp_path / "out", from_published(start))
    model, _ = load_model(manifest)
    from transformers import GPT2LMHeadModel

    theirs = GPT2LMHeadModel.from_pretrained(start["checkpoint"])
    torch.testing.assert_close(
        model.trunk.embedding.weight, theirs.transformer.wte.weight, atol=1e-6, rtol=0
    )
    made = read_manifest(manifest)
    assert made.facts["init_from"] == start | {"revision": None}
    assert made.recipe.section["models.trunk"]["init_from"]["sha256"] == start["sha256"]


def test_other_weights_are_another_recipe_and_wrong_ones_are_refused(
    streams: Streams, tmp_path: Path
) -> None:
    start = published(tmp_path / "gpt2")
    jobs = [
        training_job("valm", changes=from_published(start | {"sha256": digest}))
        for digest in (start["sha256"], "0" * 64)
    ]
    assert jobs[0].fingerprint() != jobs[1].fingerprint()
    with pytest.raises(IntegrityError, match="expected 0000"):
        train(streams, tmp_path / "out", from_published(start | {"sha256": "0" * 64}))
    other = published(tmp_path / "other", vocab_size=49)
    with pytest.raises(ConfigError, match="vocabulary: 49, ours 50"):
        train(streams, tmp_path / "out", from_published(other))
