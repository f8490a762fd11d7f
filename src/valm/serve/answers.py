"""Answers to a prompt: the pictures of each token, where models look, and the words they expect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from valm.errors import InputError
from valm.evaluate.answers.answering import Reader
from valm.evaluate.answers.looking import Sight, look
from valm.report.figures.style import model_colours, model_label
from valm.retrieve.neighbours import Neighbours
from valm.serve.open_study import OpenStudy, Voice

SHOWN_WORDS = 5  # likeliest next words of each model


@dataclass(frozen=True)
class Exchange:
    """One picture that the reader of the page put in another's place.

    Attributes:
        token: Number of the token, from 0.
        place: Which of its K pictures, from 0.
        picture: Id of the picture to show there; None: nothing.
    """

    token: int
    place: int
    picture: int | None


def answer(
    study: OpenStudy,
    prompt: str,
    exchanges: Sequence[Exchange] = (),
    words: Sequence[str] = (),
    voices: Sequence[Voice] | None = None,
) -> dict[str, Any]:
    """What the page shows for a prompt, as plain data.

    Args:
        words: Words to compare; each has to be one token of the vocabulary after a space.
        voices: Who is asked; None: all models of the study.

    Returns:
        ``seed`` of the models; ``tokens``: for each its ``text`` and its ``pictures`` (id, name,
        caption, score, and the ``weights`` that looking models give it at its token, by model);
        ``models``: for each a label, a colour, its ``likeliest`` next words, the ``compared`` ones
        as shares of their sum and, if it looks at pictures, where it looks at the last token:
        ``on_pictures`` in all, and ``on_text`` at each token.

    Raises:
        InputError: The prompt has no token or is longer than the models' context, a word is not one
            token, or an exchange names what is not there.
    """
    tokens = study.tokenizer.encode(prompt)
    _check_length(len(tokens), study.context_tokens)
    compared = [_one_token(study, word) for word in words]
    found = study.retrieve(tokens)
    ids = _exchanged(study, np.where(found.mask, found.ids, -1).astype(np.int32), exchanges)
    voices = study.voices if voices is None else voices
    colours = model_colours((voice.model, voice.shown) for voice in study.voices)
    sights = {voice.key: _sight(study, voice, tokens, ids, found) for voice in voices}
    return {
        "prompt": prompt,
        "seed": study.models_seed,
        "tokens": [
            {
                "text": study.tokenizer.token_text(token),
                "pictures": _pictures(study, found, ids, place, voices, sights),
            }
            for place, token in enumerate(tokens)
        ],
        "models": [
            _model(study, voice, sights[voice.key], compared)
            | {"colour": colours[voice.model, voice.shown]}
            for voice in voices
        ],
    }


def _check_length(tokens: int, longest: int) -> None:
    if not 1 <= tokens <= longest:
        raise InputError(
            f"a prompt has 1 to {longest} tokens, this one has {tokens}",
            cure="type a shorter prompt" if tokens else "type a prompt",
        )


def _one_token(study: OpenStudy, word: str) -> int:
    """The token of a word that follows others."""
    tokens = study.tokenizer.encode(f" {word}")
    if len(tokens) != 1:
        raise InputError(
            f"{word!r} is not one token of the vocabulary",
            cure="compare words that are",
        )
    return tokens[0]


def _exchanged(
    study: OpenStudy, ids: NDArray[np.int32], exchanges: Sequence[Exchange]
) -> NDArray[np.int32]:
    """The pictures after all exchanges, -1 where there is none."""
    for exchange in exchanges:
        inside = 0 <= exchange.token < len(ids) and 0 <= exchange.place < ids.shape[1]
        if not inside:
            raise InputError(f"there is no place {exchange.place} at token {exchange.token}")
        picture = -1 if exchange.picture is None else study.picture(exchange.picture).id
        ids[exchange.token, exchange.place] = picture
    return ids


def _sight(
    study: OpenStudy, voice: Voice, tokens: list[int], ids: NDArray[np.int32], found: Neighbours
) -> Sight:
    ids = ids[:, : voice.top_k]
    reader = Reader.shown(
        voice.network, voice.control, ids, found.values, study.values, study.showable, study.seed
    )
    return look(reader, tokens)


def _pictures(
    study: OpenStudy,
    found: Neighbours,
    ids: NDArray[np.int32],
    token: int,
    voices: Sequence[Voice],
    sights: Mapping[str, Sight],
) -> list[dict[str, Any] | None]:
    """The K pictures of a token; None where there is none."""
    shown: list[dict[str, Any] | None] = []
    for place, number in enumerate(ids[token].tolist()):
        if number < 0:
            shown.append(None)
            continue
        own = number == found.ids[token, place]
        weights = {
            voice.key: float(sight.pictures[token, place])
            for voice in voices
            if voice.sees_retrieved
            and (sight := sights[voice.key]).pictures is not None
            and place < sight.pictures.shape[1]
        }
        score = float(found.scores[token, place]) if own else None
        shown.append(asdict(study.picture(number)) | {"score": score, "weights": weights})
    return shown


def _model(study: OpenStudy, voice: Voice, sight: Sight, compared: Sequence[int]) -> dict[str, Any]:
    likeliest = np.argsort(-sight.next_word, kind="stable")[:SHOWN_WORDS].tolist()
    shares = sight.next_word[compared] / max(sight.next_word[compared].sum(), 1e-30)
    return {
        "key": voice.key,
        "label": model_label(voice.model, voice.shown),
        "sees_retrieved": voice.sees_retrieved,
        "on_pictures": None if sight.pictures is None else float(sight.pictures[-1].sum()),
        "on_text": None if sight.text is None else sight.text[-1].tolist(),
        "likeliest": _words(study, likeliest, sight.next_word[likeliest]),
        "compared": _words(study, compared, shares),
    }


def _words(
    study: OpenStudy, tokens: Sequence[int], probabilities: NDArray[np.float32]
) -> list[dict[str, Any]]:
    return [
        {"text": study.tokenizer.token_text(token), "probability": float(probability)}
        for token, probability in zip(tokens, probabilities, strict=True)
    ]
