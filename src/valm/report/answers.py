"""Which candidate each model chose, counted by what is right: the numbers behind the confusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from valm.evaluate.metrics import CHOICE

Rival = tuple[str, str]


def counted_answers(
    answers: Mapping[Rival, pl.DataFrame], choices: Sequence[str], part: str = ""
) -> pl.DataFrame:
    """How often each candidate was chosen for things of each right answer, over prompts and seeds.

    Candidates are compared after calibration, as in the corrected accuracy: each one's mean
    log-probability under the prompt's content-free questions (``answer`` -1) is subtracted.

    Args:
        answers: By model and control: ``seed, item, prompt, part, answer`` (place of the right
            candidate) and ``choice_0 ...`` (log-probabilities).
        choices: The candidates.
        part: The part of the questions that counts.

    Returns:
        ``model, control, gold, answer, count``.
    """
    frames = []
    columns = [f"{CHOICE}{place}" for place in range(len(choices))]
    for (model, control), frame in answers.items():
        free = (
            frame.filter(pl.col("answer") < 0)
            .group_by("seed", "prompt")
            .agg(pl.col(columns).mean())
        )
        asked = frame.filter((pl.col("answer") >= 0) & (pl.col("part") == part))
        joined = asked.join(
            free, on=["seed", "prompt"], how="left", suffix="_free", maintain_order="left"
        )
        calibrated = [pl.col(c) - pl.col(f"{c}_free").fill_null(0.0) for c in columns]
        chosen = joined.select(gold="answer", answer=pl.concat_list(calibrated).list.arg_max())
        frames.append(
            chosen.group_by("gold", "answer")
            .agg(count=pl.len())
            .sort("gold", "answer")
            .select(
                pl.lit(model).alias("model"),
                pl.lit(control).alias("control"),
                *(
                    pl.col(c).map_elements(lambda place: choices[place], pl.String)
                    for c in ("gold", "answer")
                ),
                "count",
            )
        )
    return pl.concat(frames) if frames else pl.DataFrame()
