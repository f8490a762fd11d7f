"""The findings: a paragraph made from the statistics, the differences it rests on, costs, provenance."""

from __future__ import annotations

from html import escape
from pathlib import Path

import polars as pl

from valm.core.digest import canonical_json
from valm.core.manifest import Manifest
from valm.report import provenance
from valm.report.answers import counted_answers, stated_confidence
from valm.report.chapters.evaluate import read_scores, read_tested
from valm.report.chapters.ingest import COLOUR_NOTES
from valm.report.exhibits import Exhibit, Passage, missing, paragraphs
from valm.report.figures.findings import calibration, confusion, differences
from valm.report.figures.style import model_label, readable
from valm.report.links import BENCHMARKS, SCORES, linked
from valm.report.pages.side_by_side import configuration_of
from valm.report.results import Results
from valm.report.sweeps import model_aspects
from valm.report.tables import paper as paper_tables
from valm.report.tables.costs import model_costs, rule_costs
from valm.report.tables.image_base import image_base_table
from valm.report.tables.layout import as_text, table
from valm.report.words.comparisons import (
    CORRECTED,
    LEGACY,
    MEASURED,
    OWN,
    POOLED,
    Verdict,
    headline_rows,
    headlines,
)
from valm.report.words.evidence import COLOUR_TASKS, Evidence, Score, Setting
from valm.report.words.findings import Findings, findings
from valm.report.words.numbers import duration, interval, number, size, with_interval

MIB = 1 << 20
PROBE = "colour"


def read_findings(results: str | Path) -> Findings:
    """What the study's scores and comparisons allow to be said."""
    study = Results(Path(results))
    scores = read_scores(study)
    return findings(
        _setting(study, scores),
        _evidence(study, scores, CORRECTED),
        _evidence(study, scores, LEGACY),
    )


def text(results: str | Path) -> Exhibit:
    """The findings in plain words."""
    said = read_findings(results)
    return Passage(
        f'<p class="lead">{escape(said.headline)}</p>{paragraphs(*said.paragraphs).html}'
    )


def verdicts(results: str | Path) -> Exhibit:
    """The main colour task's differences, each with its interval and what may be said of it."""
    key = read_findings(results).key
    words = {Verdict.GAIN: "gain", Verdict.LOSS: "loss", Verdict.OPEN: "open"}
    items = "".join(
        f'<li class="{words[c.verdict]}"><span class="against">against {escape(model_label(*c.second))}</span>'
        f'<span class="difference">{linked(with_interval(c.difference, None, None, c.unit, sign=True), SCORES)}</span>'
        f'<span class="interval">{interval(c.low, c.high, c.unit, sign=True)} points</span>'
        f'<span class="word">{c.verdict.value}</span></li>'
        for c in key
    )
    return Passage(f'<ul class="verdicts">{items}</ul>' if key else "")


def colour_differences(results: str | Path) -> Exhibit:
    """The differences on all colour tasks, with intervals."""
    study = Results(Path(results))
    found = _evidence(study, read_scores(study), CORRECTED).comparisons
    colour = [c for task in COLOUR_TASKS for c in found if c.task == task]
    return differences(colour) if colour else missing("tested differences on a colour task")


def paper_table(results: str | Path, place: int) -> Exhibit:
    """Table 2, 4 or 5 of the paper beside what is measured here."""
    study = Results(Path(results))
    return paper_tables.paper_table(place, read_scores(study), read_tested(study))


def image_base(results: str | Path) -> Exhibit:
    """Table 7 of the paper beside ours: scores and time by the size of the image base."""
    study = Results(Path(results))
    bases = dict(model_aspects(study).drop_nulls("base").select("model", "base").iter_rows())
    costs = model_costs(study)
    clock, processor = (
        {} if costs.is_empty() else dict(costs.select("model", column).iter_rows())
        for column in ("relative_with_search", "relative_processor_with_search")
    )
    return image_base_table(read_scores(study), bases, clock, processor)


def colour_confusion(results: str | Path) -> Exhibit:
    """Which colours a model without pictures and one with retrieved ones name for things of each."""
    study = Results(Path(results))
    task = study.manifest("evaluate", "tasks", PROBE)
    own = _own_answers(study)
    if task is None or not own:
        return missing("stored answers of the colour probe")
    return confusion(counted_answers(own, task.facts["choices"]))


def colour_calibration(results: str | Path) -> Exhibit:
    """How sure these models are of the colours they name, and how often they are right."""
    own = _own_answers(Results(Path(results)))
    if not own:
        return missing("stored answers of the colour probe")
    return calibration(stated_confidence(own))


def _own_answers(study: Results) -> dict[tuple[str, str], pl.DataFrame]:
    """Answers to the colour probe with what each model was trained with: first those without pictures."""
    trained = _trained_with(study)
    shown = [
        name for kind in ("none", "retrieved") for name, given in trained.items() if given == kind
    ]
    tables = {
        name: study.frame("evaluate", "predictions", name, f"{PROBE}.parquet") for name in shown
    }
    return {(name, OWN): t.filter(pl.col("control") == OWN) for name, t in tables.items() if len(t)}


def costs(results: str | Path) -> Exhibit:
    """Wall time, processor time and peak memory of every rule, from Snakemake's benchmarks."""
    benchmarks = Results(Path(results)).benchmarks()
    frame = rule_costs(benchmarks)
    if frame.is_empty():
        return missing("benchmarks: it was not run by Snakemake")
    total = duration(float(frame["seconds"].sum()))
    caption = f"What each rule cost, over all its jobs: {total} if they ran one after another. Peak memory is that of the largest job."
    makers = benchmarks["made_by"].drop_nulls()
    if len(makers):
        caption += (
            f" {number(len(makers))} jobs were done by other studies ({', '.join(sorted(set(makers)))}) and their results"
            " taken: they count with what they cost there."
        )
    taken = {"taken": number} if len(makers) else {}
    shown = as_text(
        frame.with_columns(peak=pl.col("peak_mib") * MIB), phase=readable, rule=readable, jobs=number, **taken,
        seconds=duration, cpu_seconds=duration, peak=size,
    )  # fmt: skip
    labels = {
        "rule": "Rule", "jobs": "Jobs", "taken": "Of other studies", "seconds": "Wall time", "cpu_seconds": "Processor time",
        "peak": "Peak memory",
    }  # fmt: skip
    right = tuple(labels)[1:]
    made_by = [f"{BENCHMARKS}/{rule}" for rule in frame["rule"]]
    return table(
        "costs", caption, shown, data=frame, labels=labels, group="phase", right=right, made_by=made_by
    )  # fmt: skip


def models(results: str | Path) -> Exhibit:
    """Every trained variant with its seeds and number of parameters."""
    frame = provenance.seeds(Results(Path(results)).manifests("train"))
    if frame.is_empty():
        return missing("trained models")
    shown = as_text(frame, model=model_label, seeds=str, parameters=number)
    labels = {"model": "Model", "seeds": "Seeds", "parameters": "Parameters"}
    return table(
        "models",
        "The models and their seeds.",
        shown,
        data=frame,
        labels=labels,
        right=("parameters",),
        made_by=[f"train/{model}" for model in frame["model"]],
    )


def artifacts(results: str | Path) -> Exhibit:
    """Every artifact with the digests of its configuration, code and manifest."""
    frame = provenance.artifacts(Results(Path(results)).made())
    if frame.is_empty():
        return missing("artifacts")
    shown = as_text(
        frame, artifact=str, kind=str, rows=number, bytes=size, config=str, code=str, digest=str
    )
    caption = "Every artifact: what it was configured by, what code made it, and the digest of its manifest."
    labels = {
        "artifact": "Artifact", "kind": "Kind", "rows": "Rows", "bytes": "Size", "config": "Config",
        "code": "Code", "digest": "Manifest",
    }  # fmt: skip
    return table(
        "artifacts", caption, shown, data=frame, labels=labels, right=("rows", "bytes"),
        made_by=frame["artifact"].to_list(),
    )  # fmt: skip


def configuration(results: str | Path) -> Exhibit:
    """Every setting that a job of the study was handed, from their manifests."""
    known = configuration_of(Results(Path(results)).made())
    if not known:
        return missing("settings in its manifests")
    rows = {"key": list(known), "value": [canonical_json(value) for value in known.values()]}
    caption = "What the study's jobs were configured with, as their manifests state it."
    labels = {"key": "Key", "value": "Value"}
    return table("configuration", caption, pl.DataFrame(rows), labels=labels)


def versions(results: str | Path) -> Exhibit:
    """Versions of Python and the packages in this environment."""
    caption = "Versions in the environment that wrote this report."
    return table(
        "versions",
        caption,
        provenance.versions(),
        labels={"package": "Package", "version": "Version"},
    )


def _setting(study: Results, scores: pl.DataFrame) -> Setting:
    tokens = study.manifest("ingest", "tokens", "tokens")
    listed = study.manifest("ingest", "pictures", "list")
    missed = scores.filter(pl.col("status") != MEASURED) if len(scores) else scores
    return Setting(
        trained_with=_trained_with(study),
        notes_share=_notes_share(tokens) if tokens else 0.0,
        pictures=listed.rows if listed else 0,
        unavailable={row["task"]: row["note"] for row in missed.to_dicts()},
    )


def _trained_with(study: Results) -> dict[str, str]:
    """What each model was given in training, by model."""
    return {m.facts["variant"]: m.facts["pictures"] for m in study.manifests("train").values()}


def _notes_share(tokens: Manifest) -> float:
    """Share of the training tokens that are colour notes."""
    train = tokens.facts["splits"]["train"]
    notes = train["by_source"].get(COLOUR_NOTES)
    return notes["tokens"] / train["tokens"] if notes else 0.0


def _evidence(study: Results, scores: pl.DataFrame, definition: str) -> Evidence:
    """Comparisons and pooled scores on each task's headline metric."""
    tested = read_tested(study)
    rows = (
        headline_rows(scores, definition).filter(pl.col("seed") == POOLED)
        if len(scores)
        else scores
    )
    found = {
        (row["task"], row["model"], row["control"]): Score(
            row["value"], row["low"], row["high"], row["majority"]
        )
        for row in rows.to_dicts()
    }
    return Evidence(headlines(tested, scores, definition), found)
