"""What was run: the study, the commit, the hours, the data by their digests, and how to run it again."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import polars as pl

from valm.config.study import DEFAULT_STUDY
from valm.core.digest import digest_data
from valm.report import provenance
from valm.report.exhibits import Exhibit, Passage
from valm.report.links import BENCHMARKS
from valm.report.results import Results
from valm.report.tables.costs import rule_costs
from valm.report.tables.layout import table
from valm.report.words.numbers import duration, number, size

SHOWN_CHANGES = 6
DATA = {
    "ingest/pictures/list": "Pictures",
    "ingest/tokens/tokens": "Training text, in tokens",
    "embed/encoder/encoder": "Encoder, in parameters",
    "evaluate/scores": "Scores",
}


def what_was_run(results: str | Path, study: str) -> Exhibit:
    """The run on one screen: each fact with its digest, and the artifact that states it."""
    rows = list(_facts(Results(Path(results)), study))
    frame = pl.DataFrame(rows, ["fact", "value", "digest", "artifact"], orient="row")
    return table(
        "run",
        "What was run. The commit and its changes are those of the moment in which this page was written; digests of code and"
        " settings stand with each artifact.",
        frame.drop("artifact"),
        data=frame,
        labels={"fact": "", "value": "", "digest": "Digest"},
        right=("value",),
        made_by=frame["artifact"].to_list(),
    )


def made_again(study: str) -> Exhibit:
    """The commands that make everything again, and that check what lies here."""
    command = "make study"
    if study != DEFAULT_STUDY:
        command = f"snakemake --cores all --configfile config/studies/{study}.yaml"
    return Passage(
        f"<p>To make everything again, in a clone of the repository: <code>{escape(command)}</code>. To check what lies here"
        " against its manifests: <code>valm verify</code>.</p>"
    )


def in_short(results: str | Path) -> str:
    """Commit and hours, for the line above the title; empty if neither is known."""
    known = provenance.checkout(Path(results))
    costs = rule_costs(Results(Path(results)).benchmarks())
    parts = [f"commit {known.commit[:7]}{' and changes' if known.changed else ''}"] if known else []
    if not costs.is_empty():
        parts.append(f"{duration(float(costs['seconds'].sum()))} of jobs")
    return " · ".join(parts)


def _facts(study: Results, name: str) -> Iterator[tuple[str, str, str, str]]:
    """Rows of fact, value, digest and artifact."""
    yield "Study", name, "", ""
    known = provenance.checkout(study.root)
    yield "Git commit", known.commit if known else "not in a git repository", "", ""
    if known:
        yield "Uncommitted changes", _changes(known.changed), "", ""
    costs = rule_costs(study.benchmarks())
    if not costs.is_empty():
        seconds = duration(float(costs["seconds"].sum()))
        yield "Jobs, one after another", seconds, "", BENCHMARKS
    sources = study.manifests("ingest", "sources")
    used = {source: m.facts for source, m in sources.items() if m.facts.get("available")}
    if used:
        total = f"{number(len(used))}, {size(sum(facts['bytes'] for facts in used.values()))}"
        pinned = {source: facts.get("pinned") for source, facts in used.items()}
        yield "Raw sources", total, digest_data(pinned), "ingest/sources"
    for artifact, label in DATA.items():
        if made := study.manifest(*artifact.split("/")):
            yield label, number(made.rows), made.digest, artifact
    models = provenance.seeds(study.manifests("train"))
    if not models.is_empty():
        seeds = " and ".join(models["seeds"].unique(maintain_order=True))
        yield "Models", f"{number(len(models))}, of seeds {seeds}", "", "train"


def _changes(files: tuple[str, ...]) -> str:
    """The names of changed files, or how many they are."""
    if not files:
        return "none"
    more = len(files) - SHOWN_CHANGES
    return ", ".join(files[:SHOWN_CHANGES]) + (f" and {number(more)} more" if more > 0 else "")
