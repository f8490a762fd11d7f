"""``write-tokens``: the drawn documents as one token stream a split; and how it is read.

Two passes over the text: the first notes where each document belongs (``corpus``), the second
encodes those that may be drawn into a scratch file, from which the shuffled streams are copied.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.config.ingest import Text
from valm.core.atomic import atomic_file, write_array
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.progress import Tracker
from valm.core.registry import did_you_mean
from valm.core.seeding import numpy_generator
from valm.core.side_by_side import side_by_side
from valm.errors import ConfigError, InputError
from valm.ingest.text.came_with import Pairs, between, folded, place_of
from valm.ingest.text.corpus import (
    COLOUR_NOTES,
    SPLITS,
    Corpus,
    draw_colour_notes,
    draw_documents,
    survey,
)
from valm.ingest.text.phrases import all_phrases, shares_a_phrase
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer

KIND = "tokens"
DOCUMENTS_PER_BATCH, CHARACTERS_PER_BATCH = 512, 4_000_000


@dataclass(frozen=True)
class TokenStream:
    """The documents of one split, one after the other, each ended by end of text.

    Under ``ingest.text.documents: lines`` each line is a document, and a blank line an empty one.

    Attributes:
        tokens: Ids, memory-mapped, uint16 or uint32, [tokens].
        documents: Where each document starts, and the end of the last, int64 [documents + 1].
        sources: Index into ``source_names`` of each document, uint8 [documents].
        source_names: Names of the text sources.
        came_with: Pairs of a document, by its number, and a picture that it came with, memory-mapped,
            int64 [2, pairs], sorted.
    """

    tokens: NDArray[Any]
    documents: NDArray[np.int64]
    sources: NDArray[np.uint8]
    source_names: list[str]
    came_with: NDArray[np.int64]

    @classmethod
    def open(cls, manifest: Path, split: str) -> TokenStream:
        """Open a split that ``write-tokens`` wrote.

        Raises:
            ConfigError: There is no such split.
            InputError: The files do not fit together.
        """
        facts = read_manifest(manifest, KIND).facts
        if split not in SPLITS:
            raise ConfigError(f"there is no split {split!r}", cure=did_you_mean(split, SPLITS))
        folder = manifest.parent
        documents = np.load(folder / f"{split}.documents.npy", allow_pickle=False)
        sources = np.load(folder / f"{split}.sources.npy", allow_pickle=False)
        path, dtype = folder / f"{split}.bin", np.dtype(facts["dtype"])
        stated = int(documents[-1]) * dtype.itemsize
        if path.stat().st_size != stated or len(sources) != len(documents) - 1:
            raise InputError(
                f"the token stream has {path.stat().st_size:,} bytes, its index states {stated:,}",
                where=path,
                cure=f"delete {manifest} and run the study again",
            )
        # An empty file cannot be mapped.
        tokens = np.memmap(path, dtype, mode="r") if stated else np.zeros(0, dtype)
        file = folder / f"{split}.came_with.npy"
        came_with = np.load(file, mmap_mode="r", allow_pickle=False)
        return cls(tokens, documents, sources, facts["sources"], came_with)

    def pictures_at(self, positions: NDArray[np.int64]) -> Pairs:
        """The pictures that the documents of some tokens came with: whose each is, and its id.

        Args:
            positions: Of the tokens, [tokens].
        """
        document = np.searchsorted(self.documents, positions, side="right") - 1
        paired, picture = self.came_with
        first, last = (np.searchsorted(paired, document, side) for side in ("left", "right"))
        token, place = between(first, last)
        return token, picture[place]


@dataclass(frozen=True)
class Encoded:
    """Encoded documents in the order of the corpus, each ended by end of text.

    Attributes:
        ids: Ids of all encoded documents, [tokens].
        start: Where each document of the corpus starts in ``ids``, int64 [documents].
        length: Its number of tokens, 0 if it was not encoded, int64 [documents].
        lines: Of a block of lines, by its number, their places (``came_with``), float64 [lines]; if any
            text came with pictures.
        end_of_text: The id that ends a document, or each line of a block.
    """

    ids: NDArray[Any]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    lines: Mapping[int, NDArray[np.float64]]
    end_of_text: int

    def of(self, number: int) -> NDArray[Any]:
        """The ids of one document."""
        return self.ids[self.start[number] : self.start[number] + self.length[number]]


def write_tokens(
    job: Job,
    *,
    text: Sequence[Path],
    tokenizer: Path,
    output: Path,
    phrases: Sequence[Path] = (),
) -> None:
    """Write ``{split}.bin`` and ``{split}.{documents,sources,came_with}.npy`` for each split.

    Args:
        text: Manifests of the text sources, colour notes among them.
        tokenizer: The tokenizer's manifest.
        output: ``tokens.manifest.json``.
        phrases: Manifests of evaluation sets' phrases; a document of the training split that has one
            of them is left out.

    Raises:
        ConfigError: A text source is not one of the configuration's.
    """
    settings = job.settings("ingest.text", Text)
    vocabulary = load_tokenizer(tokenizer)
    corpus = survey(text, settings.split, settings.documents)
    parents = [*text, tokenizer, *phrases]
    contaminated = _contaminated(corpus, phrases)
    corpus = replace(corpus, unique=corpus.unique & ~contaminated)
    with job.work(parents) as work:
        scratch = work / "documents.bin"
        caps = _caps(corpus, settings)
        encoded = _encode(
            corpus, _candidates(corpus, caps, vocabulary), tokenizer, scratch, job.threads
        )
        drawn = draw_documents(corpus, encoded.length, caps) & (encoded.length > 0)
        share = settings.colour_notes.share
        notes = draw_colour_notes(corpus, encoded.length, drawn, share)
        splits: dict[str, Any] = {}
        files: list[Path] = []
        for index, split in enumerate(SPLITS):
            members = np.flatnonzero((drawn | notes) & (corpus.split == index))
            order = numpy_generator(job.seed, "documents", split).permutation(members)
            files += _write_split(output.parent, split, corpus, encoded, order)
            splits[split] = _counts(corpus, encoded, order)
        job.finish(
            output,
            kind=KIND,
            rows=splits["train"]["tokens"],
            files=files,
            parents=parents,
            facts={
                "dtype": encoded.ids.dtype.name,
                "vocabulary_size": vocabulary.vocabulary_size,
                "sources": corpus.names,
                "splits": splits,
                "colour_notes": _note_shares(corpus, encoded, drawn, notes) | {"wanted": share},
            }
            | ({"decontaminated": int(contaminated.sum())} if phrases else {}),
        )
        scratch.unlink()
    logger.info("%s training tokens", f"{splits['train']['tokens']:,}")


def _contaminated(corpus: Corpus, manifests: Sequence[Path]) -> NDArray[np.bool_]:
    """Whether each document is of the training split and has a phrase of an evaluation set."""
    found = np.zeros(len(corpus.draw), bool)
    if manifests:
        phrases = all_phrases(manifests)
        for number, text in corpus.read(corpus.unique & (corpus.split == SPLITS.index("train"))):
            found[number] = shares_a_phrase(text, phrases)
    return found


def _caps(corpus: Corpus, settings: Text) -> dict[str, int | None]:
    """The cap of each source but the colour notes."""
    caps = {source.name: source.maximum_tokens for source in settings.sources}
    for name in corpus.names:
        if name not in caps and name != COLOUR_NOTES:
            raise ConfigError(
                f"the text source {name!r} is not in the configuration",
                where="ingest.text.sources",
                cure=did_you_mean(name, caps),
            )
    return caps


def _candidates(
    corpus: Corpus, caps: dict[str, int | None], vocabulary: Tokenizer
) -> NDArray[np.bool_]:
    """Documents that may be drawn: no document has fewer tokens than if all were the longest."""
    fewest = corpus.characters // vocabulary.longest_token + 1
    return draw_documents(corpus, fewest, caps | {COLOUR_NOTES: None})


def _encode(
    corpus: Corpus,
    candidates: NDArray[np.bool_],
    tokenizer: Path,
    scratch: Path,
    processes: int,
) -> Encoded:
    """Encode the candidates, in their order, into a scratch file."""
    vocabulary = load_tokenizer(tokenizer)
    dtype = _dtype_of(vocabulary)
    length = np.zeros(len(candidates), np.int64)
    total = int(candidates.sum())
    digest = read_manifest(tokenizer).digest
    lines: dict[int, NDArray[np.float64]] = {}
    by_lines, placed = corpus.by_lines, corpus.by_lines and bool(corpus.came_with)
    encode = partial(
        _encoded_batch, tokenizer=tokenizer, digest=digest, by_lines=by_lines, placed=placed
    )
    batches = _batches(corpus.read(candidates))
    with scratch.open("wb") as file, Tracker("encoding text", total, "documents") as tracker:
        for numbers, tokens, encoded, places in side_by_side(encode, batches, processes):
            length[numbers] = tokens
            lines.update(zip(numbers, places, strict=False))  # no places, or each one's
            file.write(encoded)
            tracker.advance(len(numbers))
    ids = np.memmap(scratch, dtype, mode="r") if total else np.zeros(0, dtype)
    return Encoded(ids, np.cumsum(length) - length, length, lines, vocabulary.end_of_text)


def _dtype_of(vocabulary: Tokenizer) -> np.dtype[Any]:
    return np.dtype("<u2" if vocabulary.vocabulary_size <= 1 << 16 else "<u4")


def _batches(documents: Iterator[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    """Documents in batches of bounded size, with their numbers."""
    batch: list[tuple[int, str]] = []
    characters = 0
    for number, text in documents:
        batch.append((number, text))
        characters += len(text)
        if len(batch) == DOCUMENTS_PER_BATCH or characters > CHARACTERS_PER_BATCH:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _encoded_batch(
    batch: list[tuple[int, str]], tokenizer: Path, digest: str, by_lines: bool, placed: bool
) -> tuple[list[int], list[int], bytes, list[NDArray[np.float64]]]:
    """Numbers of the documents, of their tokens, and the ids of all, each text ended; places of texts."""
    vocabulary = _loaded(tokenizer, digest)
    end, dtype = [vocabulary.end_of_text], _dtype_of(vocabulary)
    texts = [text.split("\n") if by_lines else [text] for _, text in batch]
    encoded = iter(vocabulary.encode_batch([text for part in texts for text in part]))
    tokens, ids = [], array("I")
    for part in texts:
        before = len(ids)
        for own in islice(encoded, len(part)):
            ids.extend(own)
            ids.extend(end)
        tokens.append(len(ids) - before)
    places = [np.array([place_of(folded(t)) for t in part]) for part in texts] if placed else []
    return [number for number, _ in batch], tokens, np.asarray(ids).astype(dtype).tobytes(), places


@cache
def _loaded(tokenizer: Path, digest: str) -> Tokenizer:
    """A process's tokenizer of a digest, which remembers words from batch to batch."""
    return load_tokenizer(tokenizer)


def _write_split(
    folder: Path, split: str, corpus: Corpus, encoded: Encoded, order: NDArray[np.intp]
) -> list[Path]:
    """Copy a split's documents, in the given order, into its files."""
    stream = folder / f"{split}.bin"
    ends, texts = array("q", [0]), np.zeros(len(order), np.int64)
    written = 0
    with atomic_file(stream) as file:
        for place, number in enumerate(order):
            ids = encoded.of(number)
            file.write(ids.tobytes())
            own = written + 1 + np.flatnonzero(ids == encoded.end_of_text)
            ends.frombytes(own.astype(np.int64).tobytes())
            texts[place] = len(own)
            written += len(ids)
    columns: dict[str, NDArray[Any]] = {
        "documents": np.array(ends, np.int64),
        "sources": np.repeat(corpus.source[order], texts),
        "came_with": _came_with(corpus, encoded, order),
    }
    files = [folder / f"{split}.{name}.npy" for name in columns]
    for path, column in zip(files, columns.values(), strict=True):
        write_array(path, column)
    return [stream, *files]


def _came_with(corpus: Corpus, encoded: Encoded, order: NDArray[np.intp]) -> NDArray[np.int64]:
    """Pairs of a text of a split and a picture that it came with, [2, pairs]."""
    if not corpus.came_with:
        return np.empty((2, 0), np.int64)
    places = [encoded.lines[number] for number in order] if corpus.by_lines else []
    return corpus.came_with.of(np.concatenate(places) if places else corpus.draw[order])


def _counts(corpus: Corpus, encoded: Encoded, members: NDArray[np.intp]) -> dict[str, Any]:
    """What a split holds, in all and by source."""
    tokens, source = encoded.length[members], corpus.source[members]
    by_source = {
        name: {"documents": int((source == i).sum()), "tokens": int(tokens[source == i].sum())}
        for i, name in enumerate(corpus.names)
    }
    return {
        "tokens": int(tokens.sum()),
        "documents": len(members),
        "words": int(corpus.words[members].sum()),
        "characters": int(corpus.characters[members].sum()),
        "by_source": by_source,
    }


def _note_shares(
    corpus: Corpus, encoded: Encoded, drawn: NDArray[np.bool_], notes: NDArray[np.bool_]
) -> dict[str, float]:
    """The colour notes' share of the training tokens, and the largest that could be had."""
    in_train = corpus.split == SPLITS.index("train")
    everything = draw_documents(corpus, encoded.length, {COLOUR_NOTES: None})
    rest = int(encoded.length[drawn & in_train].sum())
    used, all_notes = (int(encoded.length[mask & in_train].sum()) for mask in (notes, everything))
    return {
        "share": round(used / max(used + rest, 1), 4),
        "reachable": round(all_notes / max(all_notes + rest, 1), 4),
    }
