"""A classification network as encoder: its pooled features, and a text tower that finds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from builders.pictures import drawing, drawn_list
from builders.texts import make_tokenizer, make_tokens, write_source
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from valm.core.hub import digest_of_weights
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.embed.encoder import load_encoder
from valm.embed.make import make_encoder
from valm.embed.pictures import embed_pictures
from valm.errors import ConfigError, InputError, IntegrityError, SourceError
from valm.ingest.picture_sources import RawPicture
from valm.ingest.pictures.numbering import iterate_pictures
from valm.ingest.vocabulary.tokenizer import load_tokenizer

NETWORK = "test_resnet"  # timm's own small one
NAMES = ("hammer", "banana", "whale", "grapes")
SMALL: dict[str, Any] = {
    "model": NETWORK, "pictures_per_batch": 3, "text_width": 16, "text_layers": 1,
    "context_tokens": 12, "text": {"steps": 60, "windows_per_step": 8, "precision": "float32"},
    "sentences": {"held_out_fraction": 0, "side_tokens": 4},
}  # fmt: skip


class Made:
    """The inputs of ``make-encoder``: eight named drawings, and sentences about them."""

    def __init__(self, folder: Path):
        self.folder = folder
        raw = [
            RawPicture(drawing(n), NAMES[n % 4], (NAMES[n % 4],), f"drawing {n}", (), "CC0")
            for n in range(8)
        ]
        self.pictures = drawn_list(folder / "ingest", 8, raw)
        texts = [f"the {name} lies beside a {other}." for name in NAMES for other in NAMES]
        source = write_source(folder / "text", "notes", texts * 4)
        self.tokenizer = make_tokenizer(folder / "ingest", [source])
        self.tokens = make_tokens(folder / "ingest/tokens", [source], self.tokenizer)

    def encoder(self, **params: Any) -> Path:
        section = {"embed.encoder": {"name": "classifier", "params": SMALL | params}, "seed": 1}
        output = self.folder / "embed" / "encoder.manifest.json"
        make_encoder(
            Job("make-encoder", section, "c0de"), pictures=self.pictures, tokens=self.tokens,
            tokenizer=self.tokenizer, features=None, output=output,
        )  # fmt: skip
        return output


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def published(folder: Path, seed: int = 3, **stated: Any) -> dict[str, Any]:
    """A checkpoint in timm's layout, and the parameters that name it."""
    torch.manual_seed(seed)
    network = timm.create_model(NETWORK, pretrained=False, num_classes=7)
    folder.mkdir()
    save_file(network.state_dict(), folder / "model.safetensors")
    config = {"architecture": NETWORK, "num_classes": 7} | stated
    (folder / "config.json").write_text(json.dumps(config))
    return {"checkpoint": str(folder), "sha256": digest_of_weights(folder)}


def test_pooled_features_are_the_vectors_and_their_lengths_are_kept(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(made.folder / "work"))
    encoder = made.encoder(**published(made.folder / "resnet"))
    vectors = made.folder / "vectors/vectors.manifest.json"
    job = Job("embed-pictures", {}, "c0de")
    embed_pictures(
        job, pictures=made.pictures, encoder=encoder, features=None, output=vectors
    )  # fmt: skip
    keys, norms, values = (
        np.load(vectors.with_name(f"{name}.npy")) for name in ("keys", "norms", "values")
    )
    torch.manual_seed(3)
    network = timm.create_model(NETWORK, pretrained=False, num_classes=7).eval()
    transform = create_transform(**resolve_model_data_config(network), is_training=False)
    with torch.inference_mode():
        inputs = torch.stack([transform(image) for _, image in iterate_pictures(made.pictures)])
        wanted = network.forward_head(network.forward_features(inputs), pre_logits=True).numpy()
    np.testing.assert_allclose(norms, np.linalg.norm(wanted, axis=1), rtol=1e-4)
    np.testing.assert_allclose(keys, wanted / norms[:, None], atol=2e-3)
    assert np.array_equal(keys, values) and read_manifest(vectors).rows == 8


def test_every_tokens_state_is_among_the_features_and_depends_on_its_past(made: Made) -> None:
    encoder = load_encoder(made.encoder())
    features = timm.create_model(NETWORK, pretrained=False).num_features
    assert encoder.key_width == encoder.value_width == features
    ids = torch.tensor([load_tokenizer(made.tokenizer).encode("the hammer lies beside a whale.")])
    keys = encoder.encode_tokens(ids).keys
    assert keys.shape == (1, ids.shape[1], features)
    torch.testing.assert_close(keys.norm(dim=-1), torch.ones(1, ids.shape[1]))
    other = ids.clone()
    other[:, 4:] += 1
    assert torch.equal(encoder.encode_tokens(other).keys[:, :4], keys[:, :4])


def test_the_text_tower_learns_and_the_same_seed_gives_the_same_bits(made: Made) -> None:
    first = read_manifest(made.encoder())
    curve = [point["pictures"] for point in first.facts["training_curve"]]
    assert curve[-1] < curve[0]
    assert all(point["colours"] == 0 for point in first.facts["training_curve"])
    assert read_manifest(made.encoder()).files == first.files


def test_unfit_checkpoints_are_refused(made: Made) -> None:
    good = published(made.folder / "good")
    with pytest.raises(IntegrityError, match="expected 00"):
        made.encoder(**good | {"sha256": "0" * 64})
    with pytest.raises(ConfigError, match="sha256 of its weights"):
        made.encoder(checkpoint=good["checkpoint"])
    with pytest.raises(ConfigError, match="did you mean 'test_resnet'"):
        made.encoder(model="test_resnett")
    with pytest.raises(ConfigError, match="of the network 'resnet18', the study names 'test_"):
        made.encoder(**published(made.folder / "other", architecture="resnet18"))
    with pytest.raises(InputError, match="unfit weights"):
        made.encoder(**published(made.folder / "classes", num_classes=8))
    with pytest.raises(SourceError, match="no folder and cannot be had from the hub"):
        made.encoder(checkpoint="timm/no-such", sha256="0" * 64)
    Path(good["checkpoint"], "config.json").unlink()
    with pytest.raises(InputError, match=r"no config\.json in timm's layout"):
        made.encoder(**good)
