"""What a study's models differ in, one thing at a time: pictures a token, image base, layer, query, fusion.

Read from the manifests of what each model was trained with, not from its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from valm.core.digest import canonical_json
from valm.core.manifest import Manifest
from valm.report.results import SUFFIX, Results, parent_of

RETRIEVED = "retrieved"
ASPECTS = {
    "top_k": "pictures a token (K)",
    "base": "pictures in the image base",
    "layer": "layer that reads the pictures",
    "query": "what a query is formed from",
    "fusion": "fusion",
}
ORDERED = ("top_k", "base", "layer")  # whose values lie on a line
REST = "rest"  # all else that two models of a study may differ in
SEARCHED = ("factory", "keys", "similarity", "nprobe", "minimum_score")  # of an index
TRAINED = ("objective", "image_mask_probability")  # of a variant


@dataclass(frozen=True)
class Sweep:
    """Models that differ in one aspect and agree in all others.

    Attributes:
        aspect: A key of ``ASPECTS``.
        models: Their names, in the order of their values.
        values: What each of them has, as text.
    """

    aspect: str
    models: tuple[str, ...]
    values: tuple[str, ...]

    @property
    def label(self) -> str:
        """What differs, in words."""
        return ASPECTS[self.aspect]

    @property
    def ordered(self) -> bool:
        """Whether a value lies between its neighbours."""
        return self.aspect in ORDERED


def sweeps(aspects: pl.DataFrame) -> list[Sweep]:
    """Every aspect in which models differ that agree in the others; the largest such group of each.

    Args:
        aspects: One row a model that reads retrieved pictures, as ``model_aspects`` gives.
    """
    found = []
    for aspect in ASPECTS:
        others = [*(name for name in ASPECTS if name != aspect), REST]
        groups = [group for _, group in aspects.group_by(others, maintain_order=True)]
        best = max(groups, key=lambda group: group[aspect].n_unique(), default=None)
        if best is not None and best[aspect].n_unique() > 1:
            rows = best.unique([aspect], keep="first", maintain_order=True).sort(aspect)
            values = tuple(_as_text(value) for value in rows[aspect])
            found.append(Sweep(aspect, tuple(rows["model"]), values))
    return found


def _as_text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else " ".join(str(value).split())


def model_aspects(study: Results) -> pl.DataFrame:
    """One row a model that was trained on retrieved pictures: ``model``, the aspects and the rest."""
    rows: dict[str, dict[str, Any]] = {}
    for name, manifest in study.manifests("train").items():
        if manifest.facts.get("pictures") == RETRIEVED:
            path = study.path("train", f"{name}{SUFFIX}")
            rows.setdefault(manifest.facts["variant"], _aspects(manifest, path))
    schema = {"model": pl.String, "top_k": pl.Int64, "base": pl.Int64, "layer": pl.Int64}
    schema |= dict.fromkeys(("query", "fusion", REST), pl.String)
    return pl.DataFrame([{"model": name} | row for name, row in rows.items()], schema=schema)


def _aspects(model: Manifest, path: Path) -> dict[str, Any]:
    """What a model read, from its recipe and from those of its neighbours and their index."""
    section = model.recipe.section
    (variant,) = section.get("models.variants") or [{}]
    fusion = variant.get("fusion", {})
    known: dict[str, Any] = {"fusion": _fusion(fusion), "top_k": variant.get("top_k")}
    rest = {name: variant.get(name) for name in TRAINED}
    from_end = fusion.get("params", {}).get("layer_from_end", 2)
    if "models.trunk" in section:
        known["layer"] = section["models.trunk"]["layers"] - from_end + 1
    neighbours = parent_of(model, path, "neighbours")
    if neighbours is None and "retrieve.presets" in section:
        neighbours = model, path  # found online: the model's own recipe says how
    if neighbours is not None:
        recipe = neighbours[0].recipe.section
        known["top_k"] = known["top_k"] or recipe.get("retrieve.top_k")
        (preset,) = recipe.get("retrieve.presets") or [{}]
        known["query"] = _query(preset.get("query", {}))
        rest["own_pictures"] = preset.get("exclude_same_document")
        if index := parent_of(*neighbours, "index"):
            known["base"] = index[0].rows
            rest |= {name: index[0].facts.get(name) for name in SEARCHED}
    return known | {REST: canonical_json(rest)}


def _fusion(fusion: dict[str, Any]) -> str:
    """The fusion's name with parameters that are no aspect of their own."""
    extra = {k: v for k, v in fusion.get("params", {}).items() if k != "layer_from_end"}
    words = [str(fusion.get("name", "")), *(f"{k} {v}" for k, v in sorted(extra.items()))]
    return ", ".join(words)


def _query(query: dict[str, Any]) -> str:
    """The scheme; its numbers are set so that texts sort as they do."""
    if query.get("scheme") == "windows":
        return f"window {query['window_tokens']:5}, stride {query['stride_tokens']:5}"
    return str(query.get("scheme", ""))


def swept_scores(scores: pl.DataFrame, sweep: Sweep, baseline: Sequence[str]) -> pl.DataFrame:
    """The headline scores of a sweep's models and of those without pictures, each with its value.

    Args:
        scores: Rows of headline metrics, of every seed and pooled.
        sweep: The models.
        baseline: Models without pictures, whose value is "none".

    Returns:
        ``scores``'s rows with ``value_of``, in the sweep's order.
    """
    values = dict(zip(sweep.models, sweep.values, strict=True)) | dict.fromkeys(baseline, "none")
    order = {name: place for place, name in enumerate([*baseline, *sweep.models])}
    return (
        scores.filter(pl.col("model").is_in(list(values)) & (pl.col("control") == "own"))
        .with_columns(value_of=pl.col("model").replace_strict(values, default=None))
        .sort(pl.col("model").replace_strict(order), maintain_order=True)
    )
