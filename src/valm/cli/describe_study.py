"""``valm describe --study``: a forecast as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from valm.cli.registries import checked_study
from valm.config.study import DEFAULT_STUDY, Study
from valm.core.registry import did_you_mean
from valm.errors import ConfigError
from valm.report.words.numbers import number, size

STUDIES = Path("config/studies")
LEFT = 2  # columns of text, which stand on the left


def named_study(name: str, config: Sequence[Path]) -> Study:
    """The study of a name, merged over the configuration.

    Raises:
        ConfigError: There is no such study, or it is wrong.
    """
    if name == DEFAULT_STUDY:
        return checked_study(list(config))
    file = STUDIES / f"{name}.yaml"
    if not file.is_file():
        known = [DEFAULT_STUDY, *(path.stem for path in STUDIES.glob("*.yaml"))]
        raise ConfigError(
            f"there is no study {name!r}", where=STUDIES, cure=did_you_mean(name, known)
        )
    return checked_study([*config, file])


def as_text(figures: dict[str, Any]) -> str:
    """A forecast for people."""
    tokens, pictures = figures["tokens"], figures["pictures"]
    parts = [
        f"study {figures['study']}",
        _table(
            ["model", "pictures", "K", "parameters", "operations a token"],
            (
                [
                    model["name"],
                    f"{model['pictures']}, preset {model['preset']}" if model["preset"] else "none",
                    number(model["top_k"]),
                    number(model["parameters"]),
                    number(model["operations_per_token"]),
                ]
                for model in figures["models"]
            ),
        ),
        f"tokens: {number(tokens['corpus'])} of text; {number(tokens['steps'])} steps of {number(tokens['per_step'])} read "
        f"{number(tokens['seen'])}, {number(tokens['passes'], 2)} passes",
        f"pictures: {number(pictures['count'])}, their vectors {_bytes(pictures['vector_bytes'])}",
        _table(
            ["index", "faiss factory", "size"],
            ([each["name"], each["factory"], _bytes(each["bytes"])] for each in figures["indices"]),
        ),
        _table(
            ["neighbours of", "", "bytes a token", "of the training text"],
            (
                [
                    f"preset {each['preset']}",
                    "",
                    number(each["bytes_per_token"]),
                    _bytes(each["bytes"]),
                ]
                for each in figures["neighbours"]
            ),
        ),
        _hours(figures["gpu_hours"]),
        "\n".join(f"{rate['gpu']}: {rate['source']}" for rate in figures["throughputs"]),
        "\n".join(figures["assumed"]),
    ]
    return "\n\n".join(parts)


def _hours(by_gpu: list[dict[str, Any]]) -> str:
    """GPU hours of each part, a column a GPU."""
    first = by_gpu[0]
    rows = [
        *([name, "training", *(_one(g["train"][name]) for g in by_gpu)] for name in first["train"]),
        ["pictures", "embedding", *(_one(g["embed"]) for g in by_gpu)],
        *(
            [f"preset {name}", "queries", *(_one(g["queries"][name]) for g in by_gpu)]
            for name in first["queries"]
        ),
        ["all", "", *(_one(g["all"]) for g in by_gpu)],
    ]
    return _table(["GPU hours", "of", *(each["gpu"] for each in by_gpu)], rows)


def _one(hours: float | None) -> str:
    return number(hours, 1)


def _bytes(count: int | None) -> str:
    return number(None) if count is None else size(count)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    """Columns of equal width."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
