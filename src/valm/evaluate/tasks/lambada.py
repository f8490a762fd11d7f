"""LAMBADA: the last word of a passage that needs the whole passage (Paperno et al. 2016)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from valm.core.seeding import unit_interval
from valm.errors import InputError
from valm.evaluate.definitions import Decode, Passage, TextTask
from valm.evaluate.perplexity_task import LAST_WORD, PERPLEXITY
from valm.ingest.tokens import TokenStream

FILE = "lambada_test"
ITEMS = 1000  # of 5,153, drawn by hash


class Lambada(TextTask):
    """Perplexity of the passages (as published, of all of it) and their last words."""

    licence = "CC BY 4.0"
    definitions = (*PERPLEXITY, *LAST_WORD)
    raw = (FILE,)

    def passages(
        self, raw: Mapping[str, Path], test: TokenStream, decode: Decode
    ) -> Iterator[Passage]:
        """Passages of the detokenised test set."""
        lines = raw[FILE].read_text(encoding="utf-8").splitlines()
        try:
            texts = [str(json.loads(line)["text"]) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"not LAMBADA's jsonl: {error}", where=raw[FILE]) from error
        chosen = sorted(
            range(len(texts)), key=lambda number: unit_interval(texts[number], "lambada")
        )
        for number in chosen[:ITEMS]:
            yield Passage(str(number), texts[number])


PLUGIN = Lambada()
