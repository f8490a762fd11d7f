"""The vocabulary of a published model, out of its ``tokenizer.json``: byte-level BPE as of GPT-2.

Its pieces, merges and ids are kept, its case too. Added are what the study needs of every vocabulary:
single spaces, a space before the first word, and an end of text that no text can spell.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers

from valm.core.hub import first_line, hub_folder, read_object
from valm.errors import ConfigError, InputError

FILE = "tokenizer.json"
# What says which entry ends a text, the first that does; GPT-2's own files leave it unsaid.
ENDS_ARE_STATED_IN = ("tokenizer_config.json", "special_tokens_map.json")
USUAL_END = "<|endoftext|>"


def hub_bpe(checkpoint: str | None, revision: str | None) -> tuple[Tokenizer, str]:
    """A published vocabulary, and the name of the entry that ends a text.

    Args:
        checkpoint: Folder, or id of the Hugging Face hub.
        revision: Commit, tag or branch of a hub id.

    Raises:
        ConfigError: No checkpoint is named.
        SourceError: It cannot be had.
        InputError: It has no byte-level BPE, or no end of text.
    """
    if checkpoint is None:
        raise ConfigError(
            "a vocabulary of the kind 'hub' is a checkpoint's, and none is named",
            where="ingest.tokenizer.checkpoint",
            cure="name a folder, or an id of the hub",
        )
    folder = hub_folder(checkpoint, revision, (FILE, *ENDS_ARE_STATED_IN))
    stated = read_object(folder / FILE)
    vocabulary = _vocabulary(stated, folder)
    end = _end_of_text(folder, vocabulary)
    stated |= {"added_tokens": [], "post_processor": None, "truncation": None, "padding": None}
    stated["model"]["vocab"] = vocabulary
    try:
        tokenizer = Tokenizer.from_str(json.dumps(stated))
    except Exception as error:  # tokenizers raises no narrower one
        raise _unfit(folder, first_line(error)) from error
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Prepend(" "),
        ]
    )
    return tokenizer, end


def _vocabulary(stated: dict[str, Any], folder: Path) -> dict[str, int]:
    """Ids by entry, those of added tokens too."""
    kinds = [(stated.get(part) or {}).get("type") for part in ("model", "decoder")]
    if kinds != ["BPE", "ByteLevel"]:
        raise _unfit(folder, f"its model and decoder are {kinds[0]} and {kinds[1]}")
    added = {token["content"]: token["id"] for token in stated.get("added_tokens", [])}
    vocabulary: dict[str, int] = added | stated["model"]["vocab"]
    if sorted(vocabulary.values()) != list(range(len(vocabulary))):
        raise _unfit(folder, "its ids are not 0, 1, 2 ...")
    return vocabulary


def _end_of_text(folder: Path, vocabulary: dict[str, int]) -> str:
    for name in ENDS_ARE_STATED_IN:
        if (folder / name).is_file():
            end = read_object(folder / name).get("eos_token")
            end = end.get("content") if isinstance(end, dict) else end
            if end in vocabulary:
                return str(end)
    if USUAL_END in vocabulary:
        return USUAL_END
    raise _unfit(folder, "no entry that ends a text is stated (eos_token)")


def _unfit(folder: Path, why: str) -> InputError:
    return InputError(
        f"not a byte-level BPE as of GPT-2: {why}",
        where=folder / FILE,
        cure="name a checkpoint of GPT-2's kind in ingest.tokenizer.checkpoint",
    )
