"""What is shown of a prompt: its tokens as text, and K pictures for each."""

import json
from pathlib import Path

import pytest
from builders.encoders import FakeEncoder
from builders.retrieval import (
    retrieve_job,
    unit_vectors,
    write_encoder,
    write_index,
    write_vectors,
)
from builders.texts import make_tokenizer, write_source

from valm.retrieve.explain import show_pictures

PROMPTS = ["the color of a banana is", "the color of a banana is yellow", ""]


def test_every_token_of_a_prompt_has_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("valm.retrieve.explain.load_encoder", lambda manifest: FakeEncoder())
    texts = [write_source(tmp_path, "brown", ["the color of a banana is yellow"] * 30)]
    vectors = write_vectors(tmp_path / "vectors", unit_vectors(30))
    show_pictures(
        retrieve_job("show-pictures"),
        prompts=PROMPTS,
        tokenizer=make_tokenizer(tmp_path, texts, size=700),
        encoder=write_encoder(tmp_path),
        vectors=vectors,
        index=write_index(tmp_path, vectors),
        output=tmp_path / "prompts.manifest.json",
    )
    short, longer, empty = json.loads((tmp_path / "prompts.json").read_text())
    assert [entry["prompt"] for entry in (short, longer, empty)] == PROMPTS
    assert "".join(short["tokens"]).strip() == PROMPTS[0]
    assert longer["ids"][: len(short["ids"])] == short["ids"]
    assert all(len(row) == 4 and row == sorted(row, reverse=True) for row in short["scores"])
    assert empty["tokens"] == empty["ids"] == []
