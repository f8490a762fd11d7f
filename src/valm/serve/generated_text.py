"""What was generated, as plain data and as lines for a reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from valm.serve.generation import Generated
from valm.serve.open_study import OpenStudy, Voice


def as_data(study: OpenStudy, voice: Voice, made: Generated, *, pictures: bool) -> dict[str, Any]:
    """A generated text as plain data.

    Args:
        pictures: Whether to say which pictures each token looked at.

    Returns:
        ``model``, ``control``, ``text``, ``continuation`` and ``read_again``; with pictures also
        ``tokens``: for each its ``text``, whether it is ``generated``, and its ``pictures`` (id, name,
        caption, the search's score, the weight that the model gives it), best first.
    """
    words, prompt = study.tokenizer, made.prompt_tokens
    data: dict[str, Any] = {
        "model": voice.model,
        "control": voice.control,
        "text": words.decode(made.tokens).strip(),
        "continuation": "".join(
            words.token_text(token) for token in made.tokens[prompt:] if token != words.end_of_text
        ),
        "read_again": made.read_again,
    }
    if pictures:
        data["tokens"] = [
            {
                "text": words.token_text(token),
                "generated": place >= prompt,
                "pictures": _looked_at(study, voice, made, place),
            }
            for place, token in enumerate(made.tokens)
        ]
    return data


def as_lines(data: dict[str, Any]) -> Iterator[str]:
    """The text, then a line a token with its pictures, if they are there: name, score, weight."""
    yield data["text"]
    for token in data.get("tokens", []):
        seen = "; ".join(
            f"{one['name']}{_number(' score ', one['score'])}{_number(' weight ', one['weight'])}"
            for one in token["pictures"]
        )
        yield f"  {'+' if token['generated'] else ' '} {token['text'].strip():<16} {seen or '-'}"


def _looked_at(study: OpenStudy, voice: Voice, made: Generated, place: int) -> list[dict[str, Any]]:
    """The pictures of a token; none for the last one, which was drawn but not read."""
    given = made.given
    if given.ids is None or place >= len(given.ids):
        return []
    seen = []
    for rank, number in enumerate(given.ids[place].tolist()):
        if given.mask[place, rank]:
            picture = study.picture(number)
            seen.append(
                {
                    "id": number,
                    "name": picture.name,
                    "caption": picture.caption,
                    "score": float(made.found.scores[place, rank])
                    if voice.sees_retrieved
                    else None,
                    "weight": None if made.weights is None else float(made.weights[place, rank]),
                }
            )
    return seen


def _number(label: str, value: float | None) -> str:
    return "" if value is None else f"{label}{value:.3f}"
