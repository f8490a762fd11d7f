"""A model of the study with its tokenizer and, for one that reads pictures, its retriever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from valm.config.retrieve import Query
from valm.core.manifest import read_manifest, verify_files
from valm.embed.encoder import KIND as ENCODER_KIND
from valm.embed.encoder import Encoder, load_encoder
from valm.errors import InputError
from valm.evaluate.answers.answering import Reader
from valm.export.ancestry import Ancestry
from valm.export.carried_retriever import query_of, taken_down_before
from valm.ingest.vocabulary.tokenizer import KIND as TOKENIZER_KIND
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer
from valm.models.language_model import LanguageModel
from valm.models.pictures import standardise
from valm.retrieve.given import CONTROLS, give
from valm.retrieve.index import KIND as INDEX_KIND
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import look_up
from valm.retrieve.showable import Showable
from valm.train.saved_model import load_model

NONE = "none"


@dataclass(frozen=True)
class Retriever:
    """What finds the pictures of a text's tokens.

    Attributes:
        values: Values of all pictures, [N, V]; mapped.
        showable: The pictures that a control may draw.
        query: How queries are formed.
        top_k: Pictures of a token.
    """

    encoder: Encoder
    searcher: Searcher
    values: NDArray[np.float16]
    showable: Showable
    query: Query
    top_k: int

    @classmethod
    def of(cls, ancestry: Ancestry) -> Retriever:
        """The retriever that a model was trained with.

        Raises:
            InputError: A part of it is not among the results.
            IntegrityError: A file differs from its manifest.
        """
        query, top_k = query_of(ancestry)
        encoder = ancestry.only(ENCODER_KIND, "encoder")
        vectors = ancestry.only("vectors", "table of picture vectors")
        index = ancestry.only(INDEX_KIND, "index")
        for manifest in (encoder, vectors, index):
            verify_files(manifest)
        values = np.load(vectors.with_name("values.npy"), mmap_mode="r", allow_pickle=False)
        showable = Showable(len(values), taken_down_before(ancestry))
        searcher = Searcher(vectors, index)
        return cls(load_encoder(encoder), searcher, values, showable, query, top_k)


@dataclass(frozen=True)
class SeeingModel:
    """A model that is asked about texts which nobody prepared.

    Attributes:
        pictures: The picture control that its tokens are given.
        retriever: None for a model without pictures.
        seed: The study's, from which controls draw.
    """

    network: LanguageModel
    words: Tokenizer
    pictures: str
    retriever: Retriever | None
    seed: int = 0

    @classmethod
    def load(cls, model: Path, results: Path, pictures: str | None = None) -> SeeingModel:
        """A trained or converted model with what is among the results that it was made from.

        Args:
            model: Its manifest.
            results: Folder of results in which its ancestors are looked for.
            pictures: A picture control; None: what it was trained with.

        Raises:
            InputError: An ancestor is not there, or the model predicts no next tokens.
            ConfigError: There is no such control.
        """
        network, info = load_model(model)
        if not network.objective.causal:
            raise InputError(
                f"the model learnt {network.objective_name}, which gives no probability to a next token",
                where=model,
                cure="name a model with the objective causal_lm or prefix_lm",
            )
        ancestry = Ancestry.of(model, results)
        words = load_tokenizer(ancestry.only(TOKENIZER_KIND, "tokenizer"))
        shown = pictures or str(info.get("pictures", NONE))
        if not network.fused_layers or shown == NONE:
            return cls(network, words, NONE, None)
        CONTROLS.module(shown)
        seed = int(read_manifest(model).recipe.section.get("seed", 0))
        return cls(network, words, shown, Retriever.of(ancestry), seed)

    @property
    def context_tokens(self) -> int:
        """The longest input."""
        return self.network.trunk.config.context_tokens

    def reader(self, documents: Sequence[Sequence[int]]) -> Reader:
        """The model with the pictures of every token of some documents, laid end to end.

        Each document is looked up from its start, however far back a model's input reaches.
        """
        if self.retriever is None:
            return Reader(self.network, None, torch.empty(0, 0))
        own = self.retriever
        found = look_up(documents, own.encoder, own.searcher, own.query, own.top_k)
        ids, states = (np.concatenate([getattr(f, n) for f in found]) for n in ("ids", "values"))
        given = give(self.pictures, ids, states, own.showable, self.seed)
        table = torch.empty(0, own.values.shape[1])
        if given.ids is not None:
            rows, places = np.unique(given.ids, return_inverse=True)
            given = replace(given, ids=places.reshape(given.ids.shape).astype(np.int32))
            table = standardise(torch.from_numpy(own.values[rows]).float())
        return Reader(self.network, given, table)
