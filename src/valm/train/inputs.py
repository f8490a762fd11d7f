"""What a training reads: the blocks of both splits, and the pictures of their tokens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from valm.config.models import Variant
from valm.core.manifest import read_manifest
from valm.errors import InputError, IntegrityError
from valm.ingest.text.tokens import TokenStream
from valm.models.pictures import standardise
from valm.retrieve.given import Given, give, reads_retrieved
from valm.retrieve.showable import Showable
from valm.train.batches import Blocks

TRAIN, VALID = "train", "valid"
TABLE_BYTES_IN_MEMORY = 2 << 30


class Retrieval(Protocol):
    """Finds the pictures of tokens while a model is trained (``valm.retrieve.online``)."""

    @property
    def parents(self) -> list[Path]:
        """The manifests that it reads beside those of vectors and tokens."""
        ...

    @property
    def top_k(self) -> int:
        """How many pictures it finds a token."""
        ...

    def given(
        self,
        split: str,
        asked: Iterable[NDArray[np.int64]],
        control: str,
        shown: int | None,
        showable: Showable,
        seed: int,
    ) -> Iterator[tuple[NDArray[np.int64], Given]]:
        """Positions in a stream, batch by batch, with what a picture control gives there."""
        ...


@dataclass(frozen=True)
class PictureFiles:
    """Manifests of the picture vectors, and of the neighbours by split, or what finds those online.

    Attributes:
        retracted: Manifest of the pictures that no control may draw; None: there are none.
    """

    vectors: Path
    neighbours: Mapping[str, Path]
    retrieval: Retrieval | None = None
    retracted: Path | None = None

    @property
    def parents(self) -> list[Path]:
        """All manifests."""
        online = [] if self.retrieval is None else self.retrieval.parents
        gone = [self.retracted] if self.retracted else []
        return [self.vectors, *self.neighbours.values(), *online, *gone]


@dataclass(frozen=True)
class Inputs:
    """Everything that a training reads.

    Attributes:
        vocabulary_size: Number of token ids.
        value_width: Width of a picture's vector; 0 without pictures.
        blocks: The two streams in blocks, by split.
    """

    vocabulary_size: int
    value_width: int
    blocks: Mapping[str, Blocks]


def open_inputs(
    variant: Variant,
    context_tokens: int,
    validated: int,
    dtype: torch.dtype,
    seed: int,
    tokens: Path,
    pictures: PictureFiles | None,
) -> Inputs:
    """Open the token streams and, for a variant that looks at pictures, what its control gives.

    Args:
        validated: Blocks that a validation reads: found online, their pictures are found here.
        dtype: Type that the picture table is kept in.
        seed: The study's seed, from which controls draw.
        pictures: None for a variant that reads none.

    Raises:
        InputError: A split is shorter than one block, or neighbours belong to another stream.
        IntegrityError: Neighbours were found for other tokens, or among other pictures.
    """
    vocabulary_size = int(read_manifest(tokens).facts["vocabulary_size"])
    values = (
        None
        if pictures is None
        else np.load(pictures.vectors.with_name("values.npy"), mmap_mode="r", allow_pickle=False)
    )
    table = None if values is None else picture_table(values, dtype)
    blocks = {}
    for split in (TRAIN, VALID):
        stream = TokenStream.open(tokens, split).tokens
        blocks[split] = Blocks(stream, context_tokens, table=table)
        if not len(blocks[split]):
            raise InputError(
                f"the {split} stream of {len(stream):,} tokens is shorter than one block",
                where=tokens,
                cure="use more text (ingest.text) or a smaller models.trunk.context_tokens",
            )
        if pictures is None or values is None:
            continue
        showable = Showable.among(len(values), pictures.retracted)
        if pictures.retrieval is None:
            manifest = pictures.neighbours[split]
            _check_made_from(manifest, tokens, pictures.vectors)
            given = open_given(manifest, split, variant, showable, seed)
            _check_fits(given, manifest, split, len(stream), values.shape[1])
            blocks[split] = replace(blocks[split], given=given)
        else:
            first = None if split == TRAIN else min(validated, len(blocks[split])) * context_tokens
            blocks[split] = _online(
                blocks[split], pictures.retrieval, split, variant, values, showable, seed, first
            )
    width = 0 if values is None else values.shape[1]
    return Inputs(vocabulary_size, width, blocks)


def _online(
    blocks: Blocks,
    retrieval: Retrieval,
    split: str,
    variant: Variant,
    values: NDArray[np.float16],
    showable: Showable,
    seed: int,
    first: int | None,
) -> Blocks:
    """Blocks whose pictures are found while they are read, or those of so many first tokens at once.

    A control that reads nothing retrieved gives to the whole stream, as it does beside a table.
    """
    _check_depth(variant, retrieval.top_k, "retrieve.top_k")
    control, shown = variant.pictures, variant.top_k or retrieval.top_k
    if not reads_retrieved(control):
        nothing = np.broadcast_to(np.int32(-1), (len(blocks.tokens), shown))
        states = np.broadcast_to(np.float16(0), (len(blocks.tokens), values.shape[1]))
        return replace(blocks, given=give(control, nothing, states, showable, seed))
    if first is not None:
        asked = iter([np.arange(first)])
        _, given = next(retrieval.given(split, asked, control, variant.top_k, showable, seed))
        return replace(blocks, given=given)
    return replace(
        blocks,
        found_online=lambda asked: retrieval.given(
            split, asked, control, variant.top_k, showable, seed
        ),
    )


def _check_made_from(neighbours: Path, tokens: Path, vectors: Path) -> None:
    """A table for other tokens may well be as long as one for these."""
    parents = read_manifest(neighbours).parents.values()
    for what, manifest in (("for other tokens", tokens), ("among other pictures", vectors)):
        if read_manifest(manifest).digest not in parents:
            raise IntegrityError(
                f"the neighbours were found {what} than those of {manifest}",
                where=neighbours,
                cure=f"delete {neighbours} and run the study again",
            )


def _check_fits(given: Given, manifest: Path, split: str, tokens: int, width: int) -> None:
    """Refuse what was found for another stream, or read by another encoder."""
    if len(given.mask) != tokens:
        raise InputError(
            f"{len(given.mask):,} tokens have neighbours, the {split} stream has {tokens:,}",
            where=manifest,
            cure="run the study again: the neighbours belong to another stream",
        )
    if given.values is not None and given.values.shape[-1] != width:
        raise InputError(
            f"the text states of {split} have {given.values.shape[-1]} values, the pictures {width}",
            where=manifest,
            cure="run the study again: they are of another encoder",
        )


def _check_depth(variant: Variant, held: int, where: Path | str) -> None:
    if variant.top_k is not None and variant.top_k > held:
        raise InputError(
            f"{variant.name!r} reads {variant.top_k} pictures a token, {held} are found",
            where=where,
            cure="lower models.variants[].top_k, or raise retrieve.top_k and run the study again",
        )


def picture_table(
    values: NDArray[np.float16], dtype: torch.dtype
) -> Float[Tensor, "rows value"] | NDArray[np.float16]:
    """All picture values, standardised once for all steps; a large table stays on the disk."""
    if values.nbytes > TABLE_BYTES_IN_MEMORY:
        return values
    return standardise(torch.from_numpy(np.array(values))).to(dtype)


def open_given(
    manifest: Path, split: str, variant: Variant, showable: Showable, seed: int
) -> Given:
    """What a variant's picture control gives to every token of a split.

    Raises:
        InputError: A table is missing, or holds fewer pictures a token than the variant reads.
    """
    read_manifest(manifest, "neighbours")
    files = [manifest.with_name(f"{split}.{column}.npy") for column in ("ids", "values")]
    for file in files:
        if not file.is_file():
            raise InputError(
                f"{variant.name!r} reads pictures, and a table of neighbours is missing",
                where=file,
                cure=f"delete {manifest} and run the study again",
            )
    ids, values = (np.load(file, mmap_mode="r", allow_pickle=False) for file in files)
    _check_depth(variant, ids.shape[1], manifest)
    return give(variant.pictures, ids[:, : variant.top_k], values, showable, seed)
