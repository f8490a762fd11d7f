"""Where every number comes from: one page with an entry for each artifact, to which the numbers link.

An entry leads on to the manifest, to the files that lie beside it, to the settings that it was made
with, and to the entries of what it was made from and of what was made of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from valm.core.manifest import Manifest, read_manifest
from valm.report.links import BENCHMARKS
from valm.report.pages.shell import page
from valm.report.results import PHASES, SUFFIX, Results
from valm.report.words.numbers import number, size

HEADINGS = {phase: phase.capitalize() for phase in PHASES[:-1]} | {"elsewhere": "Of other studies"}


def artifacts_page(study: Results, name: str) -> tuple[str, set[str]]:
    """The page, to be written into the folder ``report``, and the anchors that it has.

    Args:
        name: The study's name.
    """
    made = _made(study)
    others = study.made_by_others()
    used_by: dict[str, list[str]] = {}
    for user, manifest in made.items():
        for parent in _parents(study, user, manifest):
            used_by.setdefault(parent, []).append(user)
    anchors, parts, folders = set(made), [], dict[str, str]()
    for phase, heading in HEADINGS.items():
        mine = [artifact for artifact in made if _phase(artifact) == phase]
        if not mine:
            continue
        folders[f"#{phase}"] = heading
        parts.append(f'<h2 id="{phase}">{heading}</h2>')
        for artifact in mine:
            above = [folder for folder in _folders(artifact) if folder not in anchors | {phase}]
            parts += [f'<span id="{escape(folder)}"></span>' for folder in reversed(above)]
            anchors |= set(above)
            parts.append(
                _entry(study, artifact, made, used_by.get(artifact, []), others.get(artifact))
            )
    anchors |= {anchor.removeprefix("#") for anchor in folders}
    costs, rules = _benchmarks(study)
    if rules:
        folders[f"#{BENCHMARKS}"] = "Costs"
    body = (
        f'<header class="title"><p class="kicker">Study {escape(name)}</p><h1>Where the numbers come from</h1>'
        '<p class="lead">Every artifact of the study: its manifest, the files that hold its data, the settings that it was'
        " made with, and what it was made from. A number of the report leads to the one that it is from.</p></header>"
        + "".join(parts)
        + costs
    )
    html = page(f"Artifacts of {name}", {"index.html": "The report"} | folders, body)
    return html, anchors | rules


def _made(study: Results) -> dict[str, Manifest]:
    """All manifests before the report's, by name, and those of other studies that they were made from."""
    made = study.made()
    left = list(made)
    while left:
        user = left.pop()
        for parent in _parents(study, user, made[user]):
            if parent not in made:
                made[parent] = read_manifest(study.path(parent + SUFFIX))
                left.append(parent)
    return made


def _parents(study: Results, name: str, manifest: Manifest) -> list[str]:
    """Names of what an artifact was made from, as far as it lies there."""
    folder = Path(name).parent
    paths = sorted(os.path.normpath(folder / parent) for parent in manifest.parents)
    return [path.removesuffix(SUFFIX) for path in paths if study.path(path).is_file()]


def _phase(artifact: str) -> str:
    first = artifact.split("/", 1)[0]
    return first if first in PHASES else "elsewhere"


def _folders(artifact: str) -> list[str]:
    """The folders that an artifact lies in, the inner ones first, without the results themselves."""
    return [path.as_posix() for path in Path(artifact).parents][:-1]


def _entry(
    study: Results,
    name: str,
    made: Mapping[str, Manifest],
    used_by: Sequence[str],
    taken_from: str | None,
) -> str:
    manifest = made[name]
    choices = ", ".join(f"{key} {value}" for key, value in manifest.recipe.choices.items())
    files = "".join(
        f"<li>{_file(path, study.root)} <small>{size(path.stat().st_size)}</small></li>"
        for path in _files(study.path(name + SUFFIX), manifest)
    )
    settings = json.dumps(manifest.recipe.section, indent=1, ensure_ascii=False)
    return (
        f'<section class="artifact" id="{escape(name)}"><h3>{escape(name)}</h3>'
        f"<p>{escape(manifest.kind.replace('_', ' '))}, {number(manifest.rows)} rows, made by"
        f" <code>valm {escape(manifest.producer)}</code>{escape(f' ({choices})' if choices else '')}"
        f"{escape(f' in the study {taken_from}' if taken_from else '')}</p>"
        f"<ul><li>{_file(study.path(name + SUFFIX), study.root)} <small>{manifest.digest}</small></li>{files}</ul>"
        f"<details><summary>Settings, {manifest.config_digest}</summary><pre>{escape(settings)}</pre></details>"
        + _entries("Made from", _parents(study, name, manifest))
        + _entries("Used by", used_by)
        + "</section>"
    )


def _files(path: Path, manifest: Manifest) -> list[Path]:
    """The files of an artifact that lie there: those it names, and what was measured beside it."""
    alone = len(list(path.parent.glob(f"*{SUFFIX}"))) == 1
    stem = path.name.removesuffix(SUFFIX)
    beside = path.parent.glob("*" if alone else f"{stem}.*")
    files = {path.parent / name for name in manifest.files} | set(beside)
    return sorted(file for file in files - {path} if file.is_file())


def _file(path: Path, root: Path) -> str:
    """A link to a file, from a page in the folder ``report``."""
    return f'<a href="../{escape(os.path.relpath(path, root))}">{escape(path.name)}</a>'


def _entries(heading: str, names: Sequence[str]) -> str:
    """Links to other entries; folded when they are many."""
    links = ", ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    if len(names) > 6:
        return f"<details><summary>{heading} {len(names)}</summary><p>{links}</p></details>"
    return f"<p>{heading}: {links}</p>" if names else ""


def _benchmarks(study: Results) -> tuple[str, set[str]]:
    """Snakemake's measurements by rule, with the anchor of each rule."""
    folder = study.path(BENCHMARKS)
    rules: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rules.setdefault(path.relative_to(folder).with_suffix("").parts[0], []).append(path)
    if not rules:
        return "", set()
    entries = "".join(
        f'<section class="artifact" id="{BENCHMARKS}/{escape(rule)}"><h3>{escape(rule)}</h3><p>'
        + ", ".join(_measured(path, study.root) for path in paths)
        + "</p></section>"
        for rule, paths in rules.items()
    )
    heading = f'<h2 id="{BENCHMARKS}">Costs</h2><p>Snakemake\'s own measurements, a file a job.</p>'
    return heading + entries, {BENCHMARKS} | {f"{BENCHMARKS}/{rule}" for rule in rules}


def _measured(path: Path, root: Path) -> str:
    """A link to a job's measurements, named by the job."""
    relative = path.relative_to(root / BENCHMARKS).with_suffix("")
    job = "/".join(relative.parts[1:]) or relative.name
    return f'<a href="../{escape(os.path.relpath(path, root))}">{escape(job)}</a>'
