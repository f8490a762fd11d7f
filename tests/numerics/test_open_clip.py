"""A given open_clip model: its states are the model's own, at every position, and causal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from builders.open_clip_models import (
    encoder_job,
    manifest_of,
    parameters,
    saved,
    tiny_model,
)
from builders.pictures import drawn_list
from open_clip.transformer import QuickGELU

from valm.embed.encoder import ENCODERS, load_encoder
from valm.embed.encoders.open_clip import OpenClipEncoder, Params
from valm.embed.make import make_encoder
from valm.embed.pictures import embed_pictures
from valm.embed.tower_pass import TextPass, picture_vectors
from valm.embed.towers.networks import text_states
from valm.errors import ConfigError
from valm.ingest.pictures.numbering import iterate_pictures, iterate_transparent_pictures
from valm.retrieve.keys import open_keys

END_OF_TEXT = 49407


def _encoder(folder: Path, **over: object) -> OpenClipEncoder:
    model, config = tiny_model(folder)
    checkpoint = saved(model, folder / "weights.safetensors")
    return OpenClipEncoder(model, Params.model_validate(parameters(config, checkpoint, **over)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_state_of_the_end_of_text_is_the_models_own(tmp_path: Path, dtype: torch.dtype) -> None:
    encoder = _encoder(tmp_path, normalise=False)
    encoder.model.to(dtype)
    text = open_clip.get_tokenizer("ViT-B-32", context_length=20)(["a banana", "two red cars."])
    ids = [row[1 : row.argmax() + 1] for row in text]  # without start, with end of text
    with torch.inference_mode():
        wanted = encoder.model.encode_text(text)
    for row, tokens in zip(wanted, ids, strict=True):
        assert tokens[-1] == END_OF_TEXT
        states = encoder.encode_tokens(tokens[None])
        torch.testing.assert_close(states.values[0, -1], row.float(), rtol=1e-5, atol=1e-6)
        unit = torch.nn.functional.normalize(row.float(), dim=0)
        torch.testing.assert_close(states.keys[0, -1], unit, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [{}, {"ls_init_value": 0.3}, {"width": 48, "heads": 3}],
    ids=["plain", "scaled", "narrow"],
)
@pytest.mark.parametrize("quick", [True, False], ids=["quick_gelu", "gelu"])
def test_the_pass_for_encoding_gives_the_modules_own_states(
    tmp_path: Path, change: dict[str, object], quick: bool
) -> None:
    """Of windows of several lengths; the blocks' parts are used one by one, and none is left out."""
    model, _ = tiny_model(tmp_path, **change)
    if quick:
        for block in model.transformer.resblocks:
            block.mlp.gelu = QuickGELU()
    with torch.no_grad():
        for parameter in model.parameters():  # biases too: they start as zeros
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.eval().requires_grad_(False)
    for tokens in (1, 7, 20):
        ids = torch.randint(49_406, (5, tokens), generator=torch.Generator().manual_seed(tokens))
        wanted = text_states(model, ids) @ model.text_projection
        found = TextPass(model, torch.float32).projected(ids)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)
        near = TextPass(model, torch.bfloat16).projected(ids).float()
        assert torch.cosine_similarity(near, wanted, dim=-1).min() > 0.99
        assert not torch.equal(near, wanted)
    assert model.token_embedding.weight.dtype == torch.float32
    pictures = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    wanted = model.encode_image(pictures)
    torch.testing.assert_close(picture_vectors(model, pictures), wanted, rtol=1e-5, atol=1e-5)


def test_states_depend_on_the_past_only(tmp_path: Path) -> None:
    encoder = _encoder(tmp_path)
    ids = torch.arange(100, 119)[None]
    assert ids.shape[1] == encoder.context_tokens
    other = ids.clone()
    other[0, 9:] += 1000
    first, second = encoder.encode_tokens(ids).keys, encoder.encode_tokens(other).keys
    assert torch.equal(first[:, :9], second[:, :9])
    assert not torch.allclose(first[:, 9:], second[:, 9:])


def test_a_checkpoint_becomes_an_encoder_and_vectors(tmp_path: Path) -> None:
    model, config = tiny_model(tmp_path)
    checkpoint = saved(model, tmp_path / "weights.safetensors")
    pictures = drawn_list(tmp_path / "ingest", 5)
    made = tmp_path / "embed" / "encoder.manifest.json"
    make_encoder(
        encoder_job(parameters(config, checkpoint, pictures_per_batch=2)),
        pictures=pictures,
        tokens=manifest_of(tmp_path, "tokens"),
        tokenizer=manifest_of(tmp_path, "tokenizer", kind="clip"),
        features=None,
        output=made,
    )
    loaded = load_encoder(made)
    assert (loaded.key_width, loaded.value_width, loaded.context_tokens) == (16, 16, 19)
    vectors = tmp_path / "vectors" / "vectors.manifest.json"
    job = encoder_job({})
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VALM_WORK", str(tmp_path / "work"))
        embed_pictures(job, pictures=pictures, encoder=made, features=None, output=vectors)
    keys = np.load(vectors.with_name("keys.npy"), allow_pickle=False)
    assert keys.shape == (5, 16) and keys.dtype == np.float16
    np.testing.assert_allclose(np.linalg.norm(keys.astype(np.float32), axis=1), 1, atol=2e-3)
    transform = open_clip.image_transform(32, is_train=False)
    inputs = torch.stack([transform(picture) for _, picture in iterate_pictures(pictures)])
    with torch.inference_mode():
        wanted = model.eval().encode_image(inputs, normalize=True)
        raw = model.encode_image(inputs)
    np.testing.assert_allclose(keys, wanted.numpy(), atol=2e-3)
    norms = np.load(vectors.with_name("norms.npy"), allow_pickle=False)
    assert norms.dtype == np.float32
    np.testing.assert_allclose(norms, raw.norm(dim=1).numpy(), rtol=1e-5)
    kept = open_keys(vectors, "raw").rows(slice(None))
    np.testing.assert_allclose(kept, raw.numpy(), atol=2e-3 * float(raw.norm(dim=1).max()))
    images = [image for _, image in iterate_transparent_pictures(pictures)]
    again = ENCODERS.get("open_clip").embed_images(loaded, images, None)
    np.testing.assert_allclose(again.keys, keys, atol=2e-3)


def test_another_vocabulary_or_a_tower_that_looks_ahead_is_refused(tmp_path: Path) -> None:
    model, config = tiny_model(tmp_path)
    checkpoint = saved(model, tmp_path / "weights.safetensors")

    def make(kind: str) -> None:
        make_encoder(
            encoder_job(parameters(config, checkpoint)),
            pictures=manifest_of(tmp_path, "picture_list"),
            tokens=manifest_of(tmp_path, "tokens"),
            tokenizer=manifest_of(tmp_path, "tokenizer", kind=kind),
            features=None,
            output=tmp_path / "encoder" / "encoder.manifest.json",
        )

    with pytest.raises(ConfigError, match=r"set ingest\.tokenizer\.kind to clip"):
        make("bpe")
    tiny_model(tmp_path, no_causal_mask=True)
    with pytest.raises(ConfigError, match="causal"):
        make("clip")
