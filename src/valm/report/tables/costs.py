"""What the study cost: Snakemake's benchmarks by rule, and each model's training against the first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from valm.config.verbs import VERBS
from valm.core.manifest import Manifest
from valm.report.results import PHASES, SUFFIX, Results, parent_of


def rule_costs(benchmarks: pl.DataFrame) -> pl.DataFrame:
    """Wall seconds, processor seconds and peak memory of each rule over its jobs.

    Args:
        benchmarks: ``rule``, ``job``, ``made_by`` and Snakemake's columns as text: ``s`` (wall
            seconds), ``cpu_time`` (seconds), ``max_rss`` (MiB).

    Returns:
        ``phase, rule, jobs, taken, seconds, cpu_seconds, peak_mib``, in the order of the phases;
        ``taken`` counts the jobs that another study did, with what they cost there.
    """
    if benchmarks.is_empty():
        return benchmarks
    numbers = benchmarks.select(
        "rule", "job", "made_by", *(_number(benchmarks, c) for c in ("s", "cpu_time", "max_rss"))
    )
    return (
        numbers.with_columns(phase=pl.col("rule").map_elements(_phase, return_dtype=pl.String))
        .group_by("phase", "rule")
        .agg(
            jobs=pl.len(),
            taken=pl.col("made_by").count(),
            seconds=pl.col("s").sum(),
            cpu_seconds=pl.col("cpu_time").sum(),
            peak_mib=pl.col("max_rss").max(),
        )
        .sort(
            pl.col("phase").replace_strict(
                {p: i for i, p in enumerate(PHASES)}, default=len(PHASES)
            ),
            "rule",
        )
    )


def training_costs(logs: pl.DataFrame, baseline: str = "gpt2_star") -> pl.DataFrame:
    """Tokens per second, seconds and peak memory of each model's training, mean over its seeds.

    Args:
        logs: ``metrics.jsonl`` of all models: ``model, seed, step, tokens, tokens_per_second,
            seconds, peak_memory_bytes``.
        baseline: The model whose cost is 1.

    Returns:
        ``model, seeds, tokens, tokens_per_second, seconds, peak_bytes, relative``; ``relative`` is
        the time per token as a multiple of the baseline's, null where there is none.
    """
    if logs.is_empty():
        return logs
    runs = logs.group_by("model", "seed", maintain_order=True).agg(
        tokens=pl.col("tokens").max(),
        tokens_per_second=pl.col("tokens_per_second").median(),
        seconds=pl.col("seconds").max(),
        peak_bytes=pl.col("peak_memory_bytes").max(),
    )
    models = runs.group_by("model", maintain_order=True).agg(
        seeds=pl.len(),
        tokens=pl.col("tokens").max(),
        tokens_per_second=pl.col("tokens_per_second").mean(),
        seconds=pl.col("seconds").mean(),
        peak_bytes=pl.col("peak_bytes").max(),
    )
    reference = models.filter(pl.col("model") == baseline)["tokens_per_second"]
    rate = reference[0] if len(reference) else None
    return models.with_columns(relative=pl.lit(rate, pl.Float64) / pl.col("tokens_per_second"))


def model_costs(study: Results, baseline: str = "gpt2_star") -> pl.DataFrame:
    """What each model costs to train and to hold: ``training_costs``, bytes, and the search of its pictures.

    Returns:
        Those columns and ``weight_bytes`` (of one model), ``picture_bytes`` (neighbours of the
        training text and values of all pictures; 0 without), and of one token ``search_seconds``,
        ``processor_seconds`` of training and ``search_processor_seconds``; all three as multiples
        of the baseline's training in ``relative_with_search``, ``relative_processor`` and
        ``relative_processor_with_search``. What was not measured is null.
    """
    costs = training_costs(study.training_logs(), baseline)
    if costs.is_empty():
        return costs
    benchmarks = study.benchmarks()
    rows: dict[str, dict[str, Any]] = {}
    for name, model in study.manifests("train").items():
        path = study.path("train", f"{name}{SUFFIX}")
        rows.setdefault(model.facts["variant"], _held(model, path, benchmarks))
    schema = {"model": pl.String, "weight_bytes": pl.Int64, "picture_bytes": pl.Int64}
    schema |= {"search_seconds": pl.Float64, "search_processor_seconds": pl.Float64}
    held = pl.DataFrame([{"model": m} | row for m, row in rows.items()], schema=schema)
    joined = (
        costs.join(held, on="model", how="left", maintain_order="left")
        .join(_training_processor(benchmarks), on="model", how="left", maintain_order="left")
        .with_columns(pl.col("processor_seconds") / pl.col("tokens"))
    )
    clock, processor = 1 / pl.col("tokens_per_second"), pl.col("processor_seconds")
    clock_1x, processor_1x = (
        each.filter(pl.col("model") == baseline).first() for each in (clock, processor)
    )
    return joined.with_columns(
        relative_with_search=(clock + pl.col("search_seconds")) / clock_1x,
        relative_processor=processor / processor_1x,
        relative_processor_with_search=(processor + pl.col("search_processor_seconds"))
        / processor_1x,
    )


def _training_processor(benchmarks: pl.DataFrame) -> pl.DataFrame:
    """Processor seconds of each model's training, mean over its seeds: ``model, processor_seconds``."""
    if "cpu_time" not in benchmarks.columns:
        return pl.DataFrame(schema={"model": pl.String, "processor_seconds": pl.Float64})
    return (
        benchmarks.filter(rule="train_model")
        .group_by(model=pl.col("job").str.split("/").list.first())
        .agg(processor_seconds=_number(benchmarks, "cpu_time").mean())
    )


def _held(model: Manifest, path: Path, benchmarks: pl.DataFrame) -> dict[str, Any]:
    """Bytes of a model and of what it reads, and how long the search took a token."""
    neighbours = parent_of(model, path, "neighbours")
    vectors = parent_of(model, path, "vectors")
    values = vectors[0].files["values.npy"].bytes if vectors else 0
    if neighbours is None:  # no pictures, or found online: the search is in the training's time
        search = {"search_seconds": 0.0, "search_processor_seconds": 0.0}
        return {"weight_bytes": _bytes(model), "picture_bytes": values} | search
    found, place = neighbours
    job = f"{place.parent.name}/train"
    return {
        "weight_bytes": _bytes(model),
        "picture_bytes": _bytes(found) + values,
        "search_seconds": _search(benchmarks, job, "s", found.rows),
        "search_processor_seconds": _search(benchmarks, job, "cpu_time", found.rows),
    }


def _search(benchmarks: pl.DataFrame, job: str, column: str, tokens: int) -> float | None:
    """Seconds that finding the pictures of one token took, by one of Snakemake's columns."""
    if benchmarks.is_empty():
        return None
    found = benchmarks.filter(rule="find_neighbours", job=job)
    seconds = found.select(_number(found, column)).to_series().drop_nulls()
    return seconds[0] / max(1, tokens) if len(seconds) else None


def _bytes(manifest: Manifest) -> int:
    return sum(entry.bytes for entry in manifest.files.values())


def _number(frame: pl.DataFrame, column: str) -> pl.Expr:
    known = column in frame.columns
    return (pl.col(column) if known else pl.lit(None)).cast(pl.Float64, strict=False).alias(column)


def _phase(rule: str) -> str:
    """The phase of a rule, which is named after its verb."""
    verb = VERBS.get(rule.replace("_", "-"))
    return verb.phase if verb else "other"
