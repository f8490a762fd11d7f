"""Queries: the state of each token of a text, read through windows.

Scheme ``windows``: a document is read through windows that start at every ``stride_tokens``-th position.
A token's state comes from the earliest of the windows that hold it, which gives it the longest past,
between ``window_tokens - stride_tokens + 1`` tokens and ``window_tokens`` once the document is that long.
Position alone decides, so appending text changes no earlier query (tests/numerics).

Scheme ``chunks``, the official code's: each input of the language model, whatever documents it holds, is
cut at signs that are looked for ahead (``chunks``), and each chunk is a window. A query then depends on
what comes after it, and a growing prompt is queried anew; the tests hold that this is so.

Most documents are shorter than one window and cost nothing twice. Windows of one content (frequent
in captions and templates) are encoded once, and a batch holds windows of about one length.

A product of matrices is rounded by their shapes, and a batch's shape follows from whatever else is asked.
With ``fixed_shapes`` it does not: a window is read in a batch whose rows and width follow from its own
length, filled up with nothing, so that its states have the same bits in a table, in the loader of a
training and for any number of threads. Streams are read so; a prompt is not, whose batch would be filled in vain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from valm.config.retrieve import Query
from valm.embed.encoder import ClipEncoder, Encoder
from valm.errors import ConfigError
from valm.retrieve.chunks import LONGEST_CHUNK, chunk_lengths

# Ids, and positions of windows, are integers of any width.
Integers = NDArray[np.integer]

BLOCK_TOKENS = 32_768
BATCH_TOKENS = 2_048
WIDTH_STEP = 8  # fixed shapes are multiples of so many tokens wide


@dataclass(frozen=True)
class States:
    """Token states.

    Attributes:
        keys: What is looked up, unit length, float32 [tokens, E].
        values: The states as picture values, for the text-state control, float16 [tokens, V].
    """

    keys: NDArray[np.float32]
    values: NDArray[np.float16]


@dataclass(frozen=True)
class Windows:
    """The stretches of a stream that are encoded to get the states of some tokens.

    Attributes:
        start: First position of each window in the stream, int64 [windows].
        length: Its tokens, whichever of them are asked for, int64 [windows].
        of_token: Window of each token asked for, int64 [tokens].
        offset: Place of each token asked for in its window, int64 [tokens].
    """

    start: NDArray[np.int64]
    length: NDArray[np.int64]
    of_token: NDArray[np.int64]
    offset: NDArray[np.int64]


def windows(documents: Integers, at: Integers, query: Query) -> Windows:
    """The window that gives each token the longest past, by its position in its document only.

    Args:
        documents: Where each document starts, and the end of the last, [documents + 1].
        at: Positions in the stream of the tokens whose states are wanted, [tokens].
        query: Length and stride of the windows.
    """
    at = at.astype(np.int64)
    document = np.searchsorted(documents, at, side="right") - 1
    begin, end = documents[document], documents[document + 1]
    too_far = at - begin + 1 - query.window_tokens  # tokens before the longest possible past
    skipped = np.maximum(0, -(-too_far // query.stride_tokens))
    start = begin + skipped * query.stride_tokens
    return _windows_of(start, np.minimum(start + query.window_tokens, end), at)


def chunk_windows(encoder: ClipEncoder, tokens: Integers, texts: Integers, at: Integers) -> Windows:
    """The chunk that holds each token, of the texts that hold any of them.

    Args:
        encoder: Knows CLIP's ids of the study's.
        tokens: Ids of the stream; may be memory-mapped.
        texts: Where each text that is cut starts, and the end of the last, [texts + 1].
        at: Positions in the stream of the tokens whose states are wanted, [tokens].
    """
    starts: list[int] = []
    lengths: list[int] = []
    for text in np.unique(np.searchsorted(texts, at, side="right") - 1):
        ids = encoder.clip_ids(tokens[texts[text] : texts[text + 1]])
        own = chunk_lengths(ids.tolist())
        starts += (texts[text] + np.cumsum([0, *own[:-1]])).tolist()
        lengths += own
    start, length = np.array(starts, np.int64), np.array(lengths, np.int64)
    chunk = np.searchsorted(start, at, side="right") - 1
    return _windows_of(start[chunk], start[chunk] + length[chunk], at)


def queried_texts(documents: Integers, query: Query) -> Integers:
    """Where the texts start beyond which no query of a stream looks back, and the end of the last.

    Args:
        documents: Where each document starts, and the end of the last, [documents + 1].
        query: With ``chunks`` the texts are the language model's inputs, not the documents.
    """
    return documents if query.scheme == "windows" else inputs_of_texts(documents[[0, -1]], query)


def inputs_of_texts(texts: Integers, query: Query) -> Integers:
    """The same of texts that are read one by one; with ``chunks`` each is cut into inputs from its start.

    Args:
        texts: Where each text starts, and the end of the last, [texts + 1].
        query: The scheme, and the length of an input.
    """
    if query.scheme == "windows":
        return texts
    cuts = [np.arange(first, last, query.sequence_tokens) for first, last in pairwise(texts)]
    return np.concatenate([*cuts, texts[-1:]])


def states_at(
    encoder: Encoder,
    tokens: Integers,
    documents: Integers,
    at: Integers,
    query: Query,
    *,
    fixed_shapes: bool = False,
) -> States:
    """States of the tokens at some positions of a stream.

    Args:
        encoder: Gives a state to each token of a window, causally.
        tokens: Ids of the stream; may be memory-mapped.
        documents: Where each text starts, and the end of the last, [documents + 1]; of a stream, what
            ``queried_texts`` gives, else ``inputs_of_texts``.
        at: Positions in the stream, [tokens].
        query: The scheme, and length and stride of its windows.
        fixed_shapes: Give each token the bits that it gets whatever else is asked for.

    Raises:
        ConfigError: A window is longer than the encoder can read, or it is not CLIP's and chunks are
            asked for.
    """
    _check_fits(query, encoder)
    keys = np.empty((len(at), encoder.key_width), np.float32)
    values = np.empty((len(at), encoder.value_width), np.float16)
    if len(at) == 0:
        return States(keys, values)
    if query.scheme == "chunks" and isinstance(encoder, ClipEncoder):
        cut = chunk_windows(encoder, tokens, documents, at)
    else:
        cut = windows(documents, at, query)
    ids, lengths, same = _distinct(tokens, cut)
    content = same[cut.of_token]
    by_content = np.argsort(content, kind="stable")
    batches = _fixed_batches(lengths, encoder) if fixed_shapes else _batches(lengths)
    for first, last, rows, width in batches:
        few, many = np.searchsorted(content[by_content], [first, last])
        wanted = by_content[few:many]
        row, place = content[wanted] - first, cut.offset[wanted]
        batch = torch.zeros(rows, width, dtype=torch.int64)
        longest = min(width, ids.shape[1])
        batch[: last - first, :longest] = torch.from_numpy(ids[first:last, :longest].astype(int))
        with torch.inference_mode():
            states = encoder.encode_tokens(batch)
            keys[wanted] = states.keys[row, place].float().cpu().numpy()
            values[wanted] = states.values[row, place].half().cpu().numpy()
    return States(keys, values)


def token_states(
    encoder: Encoder,
    tokens: Integers,
    documents: Integers,
    query: Query,
    *,
    block_tokens: int = BLOCK_TOKENS,
) -> Iterator[States]:
    """Yield the states of all tokens, in order; only one block of so many tokens is in memory.

    Raises:
        ConfigError: As :func:`states_at`.
    """
    for start in range(0, max(len(tokens), 1), block_tokens):
        at = np.arange(start, min(start + block_tokens, len(tokens)))
        yield states_at(encoder, tokens, documents, at, query)


def _windows_of(starts: Integers, ends: Integers, at: Integers) -> Windows:
    """The windows of tokens at some positions, each from where to where; all [tokens]."""
    start, first, of_token = np.unique(
        starts.astype(np.int64), return_index=True, return_inverse=True
    )
    length = ends.astype(np.int64)[first] - start
    return Windows(start, length, of_token, at.astype(np.int64) - start[of_token])


def _check_fits(query: Query, encoder: Encoder) -> None:
    if query.scheme == "chunks":
        if not isinstance(encoder, ClipEncoder):
            raise ConfigError(
                "chunks are cut at CLIP's punctuation, and the encoder does not read CLIP's ids",
                where="retrieve.presets[].query.scheme",
                cure="set it to windows, embed.encoder to an open_clip model, or"
                " ingest.tokenizer.kind to clip",
            )
        longest = min(LONGEST_CHUNK, query.sequence_tokens)
        if encoder.context_tokens < longest:
            raise ConfigError(
                f"chunks have up to {longest} tokens, the encoder reads {encoder.context_tokens}",
                where="retrieve.presets[].query.scheme",
                cure="set it to windows, or embed.encoder to a model that reads as many",
            )
    elif query.window_tokens > encoder.context_tokens:
        raise ConfigError(
            f"a window of {query.window_tokens} tokens is longer than the encoder reads",
            where="retrieve.presets[].query.window_tokens",
            cure=f"set it to at most {encoder.context_tokens}",
        )


def _distinct(
    tokens: Integers, cut: Windows
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.int64]]:
    """The distinct contents of windows, by length: ids padded with 0, lengths, content of each window.

    Rows are compared as bytes, length first, so big-endian order is numeric order.
    """
    places = np.arange(cut.length.max())
    inside = places < cut.length[:, np.newaxis]
    rows = np.zeros((len(cut.start), 1 + len(places)), ">u4")
    rows[:, 0] = cut.length
    rows[:, 1:][inside] = tokens[(cut.start[:, np.newaxis] + places)[inside]]
    as_bytes = rows.view(np.dtype((np.void, rows.shape[1] * rows.itemsize)))[:, 0]
    _, example, same = np.unique(as_bytes, return_index=True, return_inverse=True)
    kept = rows[example].astype(np.uint32)
    return kept[:, 1:], kept[:, 0].astype(np.int64), same


# Windows from one to another, of those sorted by length; and rows and width of their batch.
Batches = Iterator[tuple[int, int, int, int]]


def _batches(lengths: NDArray[np.int64]) -> Batches:
    """At most ``BATCH_TOKENS`` padded tokens each, and no wider than the longest window."""
    first = 0
    for last in range(1, len(lengths) + 1):
        full = last == len(lengths) or (last + 1 - first) * lengths[last] > BATCH_TOKENS
        if full:
            yield first, last, last - first, int(lengths[last - 1])
            first = last


def _fixed_batches(lengths: NDArray[np.int64], encoder: Encoder) -> Batches:
    """As many rows as ``BATCH_TOKENS`` allows, as wide as the window's length rounded up."""
    widths = np.minimum(-(-lengths // WIDTH_STEP) * WIDTH_STEP, encoder.context_tokens)
    first = 0
    while first < len(widths):
        width = int(widths[first])
        rows = max(1, BATCH_TOKENS // width)
        last = min(first + rows, int(np.searchsorted(widths, width, side="right")))
        yield first, last, rows, width
        first = last
