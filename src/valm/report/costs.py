"""What the study cost: Snakemake's benchmarks by rule, and each model's training against the first."""

from __future__ import annotations

import polars as pl

from valm.config.verbs import VERBS

PHASES = ("ingest", "embed", "retrieve", "train", "evaluate", "report")


def rule_costs(benchmarks: pl.DataFrame) -> pl.DataFrame:
    """Wall seconds, processor seconds and peak memory of each rule over its jobs.

    Args:
        benchmarks: ``rule``, ``job`` and Snakemake's columns as text: ``s`` (wall seconds),
            ``cpu_time`` (seconds), ``max_rss`` (MiB).

    Returns:
        ``phase, rule, jobs, seconds, cpu_seconds, peak_mib``, in the order of the phases.
    """
    if benchmarks.is_empty():
        return benchmarks
    numbers = benchmarks.select(
        "rule", "job", *(_number(benchmarks, c) for c in ("s", "cpu_time", "max_rss"))
    )
    return (
        numbers.with_columns(phase=pl.col("rule").map_elements(_phase, return_dtype=pl.String))
        .group_by("phase", "rule")
        .agg(
            jobs=pl.len(),
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


def _number(frame: pl.DataFrame, column: str) -> pl.Expr:
    known = column in frame.columns
    return (pl.col(column) if known else pl.lit(None)).cast(pl.Float64, strict=False).alias(column)


def _phase(rule: str) -> str:
    """The phase of a rule, which is named after its verb."""
    verb = VERBS.get(rule.replace("_", "-"))
    return verb.phase if verb else "other"
