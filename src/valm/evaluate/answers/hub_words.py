"""The vocabulary of a model of others: prompts, answers and passages as its own tokens."""

from __future__ import annotations

from typing import Any

from valm.errors import InputError
from valm.evaluate.answers.checkpoint import Checkpoint

BEFORE = "It is"  # an answer's tokens are those that it adds behind these words
UNLIMITED = 1 << 20  # tokenizers say "no limit" by a huge number


class Words:
    """A checkpoint's tokenizer.

    Attributes:
        mask: Its mask as text; None if it has none.
        mask_id: Its id.
    """

    def __init__(self, checkpoint: Checkpoint):
        self._tokenizer = checkpoint.tokenizer()
        self._where = checkpoint.name
        self.mask: str | None = self._tokenizer.mask_token
        self.mask_id: int | None = self._tokenizer.mask_token_id

    def longest(self, config: Any) -> int:
        """Tokens that the model can read.

        Raises:
            InputError: Neither model nor tokenizer states a length.
        """
        stated = getattr(config, "max_position_embeddings", None) or UNLIMITED
        longest = min(int(stated), int(self._tokenizer.model_max_length))
        if longest >= UNLIMITED:
            raise InputError(
                "the checkpoint states no longest input",
                where=self._where,
                cure="set model_max_length in its tokenizer_config.json",
            )
        return longest

    def encode(self, text: str, *, bare: bool = False, longest: int | None = None) -> list[int]:
        """A text's tokens.

        Args:
            bare: Without what the tokenizer puts around a text, such as [CLS] and [SEP].
            longest: A longer text loses its beginning; None: any length.
        """
        cut = {} if longest is None else {"truncation": True, "max_length": longest}
        found = self._tokenizer(text, add_special_tokens=not bare, verbose=False, **cut)
        return list(found["input_ids"])

    def pieces(self, answer: str) -> list[int]:
        """The tokens of an answer as they stand behind other words.

        Raises:
            InputError: It has none, or only an unknown one.
        """
        before, whole = (self.encode(text, bare=True) for text in (BEFORE, f"{BEFORE} {answer}"))
        ids = whole[len(before) :]
        unknown = self._tokenizer.unk_token_id
        if whole[: len(before)] != before or not ids or (unknown in ids and unknown is not None):
            raise InputError(
                f"the answer {answer!r} has no tokens of its own in this vocabulary",
                where=self._where,
                cure="take the checkpoint out of evaluate.baselines, or use another of its kind",
            )
        return ids

    @property
    def start(self) -> int:
        """What a text's first token is predicted from: its begin of text, or else its end."""
        start = self._tokenizer.bos_token_id
        return self.end if start is None else int(start)

    @property
    def end(self) -> int:
        """What ends a text.

        Raises:
            InputError: Nothing does.
        """
        end = self._tokenizer.eos_token_id
        if end is None:
            raise InputError("the tokenizer has no end of text", where=self._where)
        return int(end)
