"""The data card: what a study's data are, by its manifests alone; as a page, and as Markdown to travel along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import polars as pl

from valm.core.manifest import Manifest
from valm.report import provenance
from valm.report.chapters import evaluate, ingest
from valm.report.exhibits import Exhibit, Table
from valm.report.links import ARTIFACTS
from valm.report.pages.shell import page
from valm.report.results import Results
from valm.report.tables.layout import as_text, table
from valm.report.tables.markdown import markdown_text
from valm.report.words.numbers import number, percent, plain, size

DATA_CARD = "data_card"  # in the report's folder
DATA_CARD_FILE = "DATA_CARD.md"  # beside an exported model


@dataclass(frozen=True)
class Part:
    """A heading, what is said below it, and the tables that it is read from."""

    heading: str
    said: Sequence[str]
    tables: Sequence[Exhibit] = ()


@dataclass(frozen=True)
class DataCard:
    """The same card as a page that loads nothing, with links to the artifacts, and as Markdown."""

    page: str
    markdown: str


def data_card(results: Path, study: str) -> DataCard:
    """The card of a study's data: sources, licences, what was kept, shared and taken down, digests.

    Args:
        results: The study's results folder; what it does not have is left out or said to be missing.
        study: The study's name.
    """
    title = f"Data card of the study {study}"
    parts = list(_parts(Results(results)))
    return DataCard(_page(title, parts), _markdown(title, parts))


def _parts(study: Results) -> Iterator[Part]:
    yield Part(
        "Raw sources",
        ["Everything is made from these; a file whose bytes differ from the lock is refused."],
        [ingest.sources(study.root)],
    )
    yield Part(
        "Pictures",
        [_duplicates(study), _link_rot(study), _retracted(study)],
        [ingest.pictures(study.root)],
    )
    yield Part("Text", [_languages(study)], [ingest.text(study.root), *_of_the_web(study)])
    yield Part("Evaluation sets", [], _tasks(study))
    yield Part(
        "What training shares with evaluation",
        ["Counted by the leakage audit, which takes nothing out."],
        [evaluate.leakage(study.root)],
    )
    yield Part(
        "Digests", ["A digest changes when, and only when, the thing does."], _digests(study)
    )


def _duplicates(study: Results) -> str:
    listed = study.manifest("ingest", "pictures", "list")
    if listed is None:
        return "The study has no list of pictures."
    facts, limits = listed.facts, listed.recipe.section.get("ingest.pictures.duplicates", {})
    text = (
        f"{number(facts.get('stored'))} pictures were written and {number(facts.get('duplicates'))} of them left out as"
        f" near-duplicates; {number(listed.rows)} are the image base."
    )
    if limits:
        settings = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in sorted(limits.items()))
        text += f" A near-duplicate is one within these distances of a kept picture: {settings}."
    return text


def _link_rot(study: Results) -> str:
    """How many addresses gave nothing, over all sources that were downloaded picture by picture."""
    facts = [m.facts for m in _picture_sources(study) if m.facts.get("listed")]
    if not facts:
        return "No picture was downloaded from an address of its own: each comes out of a pinned file, so no link can rot."
    listed = sum(f["listed"] for f in facts)
    lost = sum(sum(f["lost"].values()) for f in facts)
    return f"Of {number(listed)} addresses {number(lost)} gave no picture ({percent(lost / listed)} %): links rot."


def _retracted(study: Results) -> str:
    made = study.manifest("ingest", "pictures", "retracted")
    if made is None:
        return "The study keeps no list of pictures that were taken down."
    gone = {0: "None of them has", 1: "One of them has"}.get(
        made.rows, f"{number(made.rows)} of them have"
    )
    return f"{gone} been taken down; valm retract takes a picture down for good."


def _languages(study: Results) -> str:
    """The languages that filters counted; where none did, that nothing is known."""
    seen: dict[str, int] = {}
    for made in study.manifests("ingest", "text").values():
        for language, count in made.facts.get("counts", {}).get("languages", {}).items():
            seen[language] = seen.get(language, 0) + count
    if not seen:
        return "No language filter ran, so no document's language was measured."
    ordered = sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    counts = ", ".join(f"{language} {number(count)}" for language, count in ordered)
    return f"Documents that the language filter saw, by language: {counts}."


def _of_the_web(study: Results) -> list[Exhibit]:
    """What became of web text and addresses, if there are any."""
    shown = ingest.web(study.root)
    return [shown] if isinstance(shown, Table) else []


def _tasks(study: Results) -> list[Exhibit]:
    rows = [
        {
            "task": name,
            "rows": made.rows,
            "licence": made.facts.get("licence"),
            "status": made.facts.get("note") or made.facts.get("status"),
        }
        for name, made in study.manifests("evaluate", "tasks").items()
    ]
    if not rows:
        return []
    frame = pl.DataFrame(rows, infer_schema_length=None)
    shown = as_text(frame, task=str, rows=number, licence=plain, status=plain)
    labels = {"task": "Task", "rows": "Requests", "licence": "Licence", "status": "Status"}
    made_by = [f"evaluate/tasks/{task}" for task in frame["task"]]
    caption = "The sets that the models are asked, with the requests that each makes of a model."
    return [
        table(
            "evaluation_sets", caption, shown, data=frame, labels=labels, right=("rows",),
            made_by=made_by,
        )
    ]  # fmt: skip


def _digests(study: Results) -> list[Exhibit]:
    made = {f"ingest/{name}": m for name, m in study.manifests("ingest").items()}
    if not made:
        return []
    frame = provenance.artifacts(made).select("artifact", "rows", "bytes", "digest")
    frame = frame.with_columns(
        bytes=pl.Series(
            [m.facts.get("bytes", n) for m, n in zip(made.values(), frame["bytes"], strict=True)]
        ),
        pinned=pl.Series([m.facts.get("pinned") for m in made.values()], dtype=pl.String),
    )
    shown = as_text(frame, artifact=str, rows=number, bytes=size, digest=str, pinned=plain)
    labels = {
        "artifact": "Artifact", "rows": "Rows", "bytes": "Size", "digest": "Manifest",
        "pinned": "Raw bytes",
    }  # fmt: skip
    caption = "Digests of the manifests, which hold the sha256 of every file, and of the raw files as they are pinned."
    return [
        table(
            "data_digests", caption, shown, data=frame, labels=labels, right=("rows", "bytes"),
            made_by=frame["artifact"].to_list(),
        )
    ]  # fmt: skip


def _picture_sources(study: Results) -> list[Manifest]:
    return [m for m in study.manifests("ingest", "pictures").values() if m.kind == "picture_shards"]


def _page(title: str, parts: Sequence[Part]) -> str:
    body = "".join(
        f'<h2 id="{_anchor(part)}">{escape(part.heading)}</h2>'
        + "".join(f"<p>{escape(text)}</p>" for text in part.said)
        + "".join(t.linked_html if isinstance(t, Table) else t._repr_html_() for t in part.tables)
        for part in parts
    )
    header = f'<header class="title"><p class="kicker">By its manifests</p><h1>{escape(title)}</h1></header>'
    contents = {
        "index.html": "The report",
        f"{DATA_CARD}.md": "As Markdown",
        ARTIFACTS: "Artifacts",
    }
    contents |= {f"#{_anchor(part)}": part.heading for part in parts}
    return page(title, contents, header + body)


def _markdown(title: str, parts: Sequence[Part]) -> str:
    """Tables as tables; an exhibit that is none says in the page that something is missing."""
    blocks = [f"# {markdown_text(title)}"]
    for part in parts:
        blocks += [f"## {part.heading}", *(markdown_text(text) for text in part.said)]
        for shown in part.tables:
            if isinstance(shown, Table):
                blocks += [shown.markdown, f"*{markdown_text(shown.caption)}*"]
    return "\n\n".join(blocks) + "\n"


def _anchor(part: Part) -> str:
    return part.heading.lower().replace(" ", "-")
