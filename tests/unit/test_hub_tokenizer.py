"""Published vocabularies: their ids as transformers gives them, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tokenizers

from valm.errors import ConfigError, InputError, SourceError
from valm.ingest.vocabulary.hub import hub_bpe
from valm.ingest.vocabulary.tokenizer import Tokenizer


def published(folder: Path, **stated: Any) -> Path:
    """GPT-2's kind of vocabulary, as transformers saves it."""
    core = tokenizers.Tokenizer(tokenizers.models.BPE())
    core.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = tokenizers.decoders.ByteLevel()
    core.post_processor = tokenizers.processors.ByteLevel(trim_offsets=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    core.train_from_iterator(["The banana is yellow, a Banana's colour in 2026."] * 30, trainer)
    folder.mkdir()
    core.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps(stated))
    return folder


def test_a_published_vocabulary_keeps_its_ids_and_case(tmp_path: Path) -> None:
    """What transformers makes of a text behind a space, the study makes of the text."""
    from transformers import PreTrainedTokenizerFast

    folder = published(tmp_path / "gpt2", eos_token="<|endoftext|>")
    core, end = hub_bpe(str(folder), None)
    tokenizer = Tokenizer(core, "hub", end)
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    assert tokenizer.vocabulary_size == len(theirs)
    for text in ("The banana is yellow", "banana", "a Banana's 2026 naïve ☂"):
        assert tokenizer.encode(text) == theirs.encode(f" {text}")
        assert tokenizer.decode(tokenizer.encode(text)) == tokenizer.normalise(text) == text
    assert tokenizer.encode("  the \n banana ") == tokenizer.encode("the banana")
    assert tokenizer.end_of_text == theirs.convert_tokens_to_ids("<|endoftext|>")
    assert tokenizer.end_of_text not in tokenizer.encode("a<|endoftext|>b <|endoftext|>")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["model"].update(type="WordPiece"), "model and decoder are WordPiece"),
        (lambda d: d.update(decoder=None), "model and decoder are BPE and None"),
        (lambda d: d["model"]["vocab"].update(extra=9999), "its ids are not 0, 1, 2"),
        (lambda d: d["model"].update(merges=[["never", "seen"]]), "not a byte-level BPE"),
    ],
)
def test_other_published_vocabularies_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    file = published(tmp_path / "other") / "tokenizer.json"
    stated = json.loads(file.read_text())
    change(stated)
    file.write_text(json.dumps(stated))
    with pytest.raises(InputError, match=message):
        hub_bpe(str(file.parent), None)


def test_a_published_vocabulary_is_named_and_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="none is named"):
        hub_bpe(None, None)
    with pytest.raises(SourceError, match="no folder and cannot be had from the hub"):
        hub_bpe("no-such/vocabulary", None)
    with pytest.raises(InputError, match="cannot read it"):
        hub_bpe(str(tmp_path), None)
