"""``write-report``: the page that ties the six notebooks together, and what it leads to.

Beside it: its tables and figures, the data card, and the page of artifacts that its numbers link to.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from valm.core.atomic import write_text
from valm.core.job import Job
from valm.core.logs import logger
from valm.errors import SpaceError
from valm.report.chapters import embed, evaluate, findings, ingest, retrieve, run, train
from valm.report.exhibits import Exhibit, Figure, Table, paragraphs
from valm.report.links import ARTIFACTS, BENCHMARKS, ENCODER, SCORES, linked, resolved
from valm.report.pages.artifacts import artifacts_page
from valm.report.pages.data_card import DATA_CARD, data_card
from valm.report.pages.shell import TITLES, page
from valm.report.results import SUFFIX, Results
from valm.report.words.findings import Findings
from valm.report.words.numbers import size

INDEX = "index.html"
VIEWER = "viewer.html"  # of write-viewer
MAXIMUM_BYTES = 8_000_000
LOSSES = ("model", "seed", "step", "tokens", "loss", "valid_loss")
PARENTS = (
    "ingest/pictures/list",
    "ingest/tokens/tokens",
    "embed/encoder/encoder",
    "evaluate/scores",
)


@dataclass(frozen=True)
class Section:
    """A part of the page: its anchor, its heading, what the reader looks at, and the exhibits.

    ``folded`` exhibits are closed until the reader opens them; ``made_by`` are the artifacts behind all.
    """

    anchor: str
    heading: str
    introduction: str
    exhibits: Sequence[Exhibit]
    folded: Sequence[Exhibit] = ()
    made_by: Sequence[str] = ()


def write_report(job: Job, *, results: Path, notebooks: Sequence[Path], output: Path) -> None:
    """Write ``index.html``, ``artifacts.html``, the data card, ``tables/*.{csv,tex}``, ``figures/*.svg``, ``losses.csv`` and the manifest.

    Args:
        job: Reads ``study``.
        results: The study's results folder.
        notebooks: The executed notebooks, whose pages lie beside them and are linked to.
        output: ``report.manifest.json``; everything lies in its folder.

    Raises:
        SpaceError: The page would be larger than 8 MB.
    """
    study = job.value("study", str)
    said = findings.read_findings(results)
    evidence = [findings.verdicts(results), findings.colour_differences(results)]
    parts = sections(results, study)
    artifacts, anchors = artifacts_page(Results(results), study)
    html = report_page(
        study, run.in_short(results), said, evidence, parts, _links(notebooks, output.parent)
    )
    html = resolved(html, anchors)
    if len(html.encode("utf-8")) > MAXIMUM_BYTES:
        raise SpaceError(
            f"the report would have {size(len(html))}, more than {size(MAXIMUM_BYTES)}",
            where=output.parent / INDEX,
            cure="show fewer prompts (report.prompts)",
        )
    target = output.parent / INDEX
    card = data_card(results, study)
    pages = {
        target: html,
        target.with_name(ARTIFACTS): artifacts,
        target.with_name(f"{DATA_CARD}.html"): resolved(card.page, anchors),
        target.with_name(f"{DATA_CARD}.md"): card.markdown,
    }
    for path, text in pages.items():
        write_text(path, text)
    shown = [*evidence, *(e for part in parts for e in (*part.exhibits, *part.folded))]
    files = [*pages, *_write_exhibits(shown, output.parent), _write_losses(results, output.parent)]
    job.finish(
        output,
        kind="report",
        rows=len(files),
        files=files,
        parents=[path for name in PARENTS if (path := results / f"{name}{SUFFIX}").is_file()],
    )
    logger.info("the report: %s", target)


def sections(results: Path, study: str) -> list[Section]:
    """Every part of the page, in the order of reading."""
    return [
        Section(
            "scores",
            "Scores and controls",
            "Every task, with the metric as the official code computes it and as we correct it. A score means little"
            " alone: read it against the controls, and against what a constant answer would score. Each number of the page's tables"
            " leads to the artifact that it is from.",
            [evaluate.summary(results), evaluate.score_figure(results)],
            [
                evaluate.scores_table(results),
                evaluate.definitions(results),
                evaluate.comparisons(results),
            ],
            [SCORES],
        ),
        Section(
            "paper",
            "Beside the paper",
            "The paper's own tables, column by column. Its models are GPT-2's size, read 33 billion tokens and retrieve from 200 million"
            " pictures: the distance between the columns is one of scale first, so compare differences between models, not levels.",
            [findings.paper_table(results, 2)],
            [
                findings.paper_table(results, 4),
                findings.paper_table(results, 5),
                findings.image_base(results),
            ],
            [SCORES],
        ),
        *_ablation(results),
        Section(
            "answers",
            "Answers",
            "How much the wording of a question matters, which colours are taken for which, and how sure the models are of them.",
            [
                evaluate.prompts(results),
                findings.colour_confusion(results),
                findings.colour_calibration(results),
            ],
            made_by=[SCORES, "evaluate/predictions", "evaluate/tasks"],
        ),
        Section(
            "counterfactual",
            "Other pictures",
            "What pictures do to an answer is seen when they are others: a few prompts, chosen for showing it, after figures 2 and 3"
            " of the paper. Whether they help in general is what the scores above test.",
            [evaluate.counterfactual(results), evaluate.attention(results)],
            [evaluate.counterfactual_numbers(results)],
            ["evaluate/sights"],
        ),
        Section(
            "retrieved",
            "Retrieved pictures",
            "What the last word of each prompt retrieves, nearest first, with the caption and the similarity. The"
            " language model never sees captions, only the pictures' vectors.",
            [
                retrieve.prompt_pictures(results),
                retrieve.recall_curves(results),
                retrieve.recall(results),
            ],
            made_by=["retrieve/prompts", "retrieve/recall"],
        ),
        Section(
            "training",
            "Training",
            "All models read the same tokens in the same order.",
            [train.losses(results), train.speed(results)],
            [train.final_losses(results)],
            ["train"],
        ),
        Section(
            "material",
            "Pictures and text",
            "What the encoder and the models were made from.",
            [
                ingest.pictures(results),
                ingest.text(results),
                ingest.text_examples(results, count=1),
            ],
            made_by=["ingest/pictures/list", "ingest/tokens/tokens"],
        ),
        Section(
            "encoder",
            "Encoder",
            "One encoder places pictures and the text read so far in the same space; it decides what is retrieved.",
            [embed.training_curves(results), embed.precision(results)],
            [embed.encoder(results)],
            [ENCODER],
        ),
        Section(
            "costs",
            "Costs",
            "Measured by Snakemake while the study ran.",
            [findings.costs(results)],
            made_by=[BENCHMARKS],
        ),
        Section(
            "provenance",
            "Provenance",
            "Where everything comes from. A digest changes when, and only when, the thing does.",
            [
                run.what_was_run(results, study),
                run.made_again(study),
                ingest.sources(results),
                findings.models(results),
            ],
            [
                findings.configuration(results),
                findings.versions(results),
                findings.artifacts(results),
            ],
        ),
    ]


def _ablation(results: Path) -> list[Section]:
    """The section of a study whose models differ in one thing at a time."""
    shown = evaluate.sweep_exhibits(results)
    introduction = (
        "Models of this study differ in one thing at a time; all else was made once and is shared."
    )
    section = Section("ablation", "One thing at a time", introduction, shown, made_by=[SCORES])
    return [section] if shown else []


def report_page(
    study: str,
    state: str,
    said: Findings,
    evidence: Sequence[Exhibit],
    parts: Sequence[Section],
    notebooks: Sequence[tuple[str, str]],
) -> str:
    """The page: findings first, then the sections, then the links to the notebooks.

    Args:
        study: The study's name.
        state: What stands beside it above the title: commit and hours.
        said: The findings in words.
        evidence: What the findings rest on; it stands between their first words and the rest.
        parts: The sections below.
        notebooks: Address relative to the page, and title, of each notebook's page.
    """
    links = "".join(
        f'<li><a href="{escape(address)}">{escape(title)}</a></li>' for address, title in notebooks
    )
    body = (
        f'<header class="title" id="findings"><p class="kicker">Visually-augmented language modelling · study'
        f" {escape(study)}</p>"
        + (
            f'<p class="made"><a class="number" href="#provenance">{escape(state)}</a></p>'
            if state
            else ""
        )
        + f"<h1>{escape(said.headline)}</h1>"
        f'<p class="lead">{escape(said.paragraphs[0])}</p></header>'
        + "".join(_linked(exhibit) for exhibit in evidence)
        + f'<div class="prose">{paragraphs(*said.paragraphs[1:]).html}{_from([SCORES])}</div>'
        + "".join(_section_html(part) for part in parts)
        + f'<h2 id="more">More</h2><p>Each phase has a notebook that shows more of it.</p>'
        f'<ul class="notebooks">{links}</ul>'
    )
    contents = {"#findings": "Findings"} | {f"#{part.anchor}": part.heading for part in parts}
    return page(f"VaLM study {study}", contents | {"#more": "More"}, body)


def _section_html(part: Section) -> str:
    folded = ""
    if part.folded:
        shown = "".join(_linked(exhibit) for exhibit in part.folded)
        folded = f"<details><summary>{escape(part.heading)}, in full</summary>{shown}</details>"
    return (
        f'<h2 id="{part.anchor}">{escape(part.heading)}</h2><p>{escape(part.introduction)}</p>'
        + _from(part.made_by)
        + "".join(_linked(exhibit) for exhibit in part.exhibits)
        + folded
    )


def _from(artifacts: Sequence[str]) -> str:
    """The line that leads to the artifacts behind what follows, or went before."""
    links = " · ".join(linked(escape(name), name) for name in artifacts)
    return f'<p class="made">Numbers from {links}</p>' if artifacts else ""


def _linked(exhibit: Exhibit) -> str:
    """An exhibit with links to the files that hold its numbers, or its drawing."""
    html = exhibit._repr_html_()
    if isinstance(exhibit, Table):
        html = exhibit.linked_html
        files = [("CSV", f"tables/{exhibit.name}.csv"), ("LaTeX", f"tables/{exhibit.name}.tex")]
    elif isinstance(exhibit, Figure):
        files = [("SVG", f"figures/{exhibit.name}.svg")]
    else:
        return html
    links = " · ".join(f'<a href="{escape(path)}">{label}</a>' for label, path in files)
    return html.replace("</figcaption>", f" {links}</figcaption>", 1)


def _links(notebooks: Sequence[Path], folder: Path) -> list[tuple[str, str]]:
    links = []
    for notebook in notebooks:
        relative = Path(os.path.relpath(notebook.with_suffix(".html"), folder))
        links.append((relative.as_posix(), TITLES.get(notebook.stem, notebook.stem)))
    if (folder / VIEWER).is_file():
        links.append((VIEWER, "The viewer: exchange pictures yourself"))
    return [
        *links,
        (f"{DATA_CARD}.html", "The data card: sources, licences, what was kept"),
        (ARTIFACTS, "Where the numbers come from: every artifact"),
    ]


def _write_exhibits(exhibits: Sequence[Exhibit], folder: Path) -> list[Path]:
    """Every table as CSV and as LaTeX, every figure as SVG, under its name."""
    files = []
    for exhibit in exhibits:
        if isinstance(exhibit, Table):
            for suffix, text in (("csv", exhibit.frame.write_csv()), ("tex", exhibit.latex)):
                files.append(folder / "tables" / f"{exhibit.name}.{suffix}")
                write_text(files[-1], text)
        elif isinstance(exhibit, Figure):
            files.append(folder / "figures" / f"{exhibit.name}.svg")
            write_text(files[-1], exhibit.svg)
    return files


def _write_losses(results: Path, folder: Path) -> Path:
    """Every training's losses by model, seed and step: what ``dvc plots`` draws."""
    target = folder / "losses.csv"
    logs = Results(results).training_logs()
    columns = [name for name in LOSSES if name in logs.columns]
    write_text(target, logs.select(columns).write_csv())
    return target
