"""Retrieval in the loader with an encoder that no manifest describes; here, where a started process finds it."""

from __future__ import annotations

from dataclasses import dataclass

from builders.encoders import TowerEncoder

from valm.embed.encoder import Encoder
from valm.retrieve.index import Searcher
from valm.retrieve.online import OnlineRetrieval


@dataclass(frozen=True)
class Faked(OnlineRetrieval):
    """With the test's own encoder."""

    def opened(self) -> tuple[Encoder, Searcher]:
        return TowerEncoder(), Searcher(self.vectors, self.index)
