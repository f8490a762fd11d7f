"""``write-viewer``: the viewer's page as one file, with recorded answers to the study's prompts.

The same page, script and style sheet as ``valm serve`` shows, with the answers that a server would give
inside: for every prompt, and for each picture of its last token dropped or replaced by one of a few
others. It opens from a file and asks nobody for anything.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

import torch

from valm.config.study import Study, merge, parse_study
from valm.core.atomic import write_text
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.core.progress import track
from valm.ingest.probes import COLOURS
from valm.report.pictures import data_uri
from valm.serve.answers import Exchange, answer
from valm.serve.open_study import OpenStudy

STAND_INS = 4  # other pictures that may take a picture's place
STYLE = '<link rel="stylesheet" href="viewer.css">'
SCRIPT = '<script src="viewer.js"></script>'
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'"


def write_viewer(
    job: Job, *, models: Sequence[Path], parents: Sequence[Path], output: Path
) -> None:
    """Write ``viewer.html``.

    Args:
        job: Reads what ``OpenStudy`` does, and the prompts.
        models: Manifests of the models that are asked, of one seed.
        parents: Manifests of all else that the study is opened from.
        output: ``viewer.manifest.json``.
    """
    torch.set_num_threads(job.threads)
    asked = [read_manifest(path, "model").facts["variant"] for path in models]
    study = _study(job.section, asked)
    prompts = [*study.report.prompts, *(each.prompt for each in study.evaluate.counterfactuals)]
    page = recorded_page(OpenStudy(study), list(dict.fromkeys(prompts)))
    file = output.with_name("viewer.html")
    write_text(file, page)
    job.finish(output, kind="viewer", rows=len(prompts), files=[file], parents=[*models, *parents])


def _study(section: Mapping[str, Any], asked: Sequence[str]) -> Study:
    """The study of a job's section, with the variants that are asked."""
    data: dict[str, Any] = {}
    for path, node in section.items():
        for key in reversed(path.split(".")):
            node = {key: node}
        data = merge(data, node)
    variants = data["models"]["variants"]
    data["models"]["variants"] = [each for each in variants if each["name"] in asked]
    # Who searches an index does not ask how it was built.
    searched = dict.fromkeys(preset["index"] for preset in data["retrieve"]["presets"])
    data["retrieve"]["indices"] = [{"name": name, "factory": "Flat"} for name in searched]
    return parse_study(data)


def recorded_page(study: OpenStudy, prompts: Sequence[str]) -> str:
    """The whole page.

    Args:
        prompts: What can be chosen; those that the models cannot read whole are left out.
    """
    words = _known_words(study)
    firsts = {prompt: _first_picture(study, prompt) for prompt in prompts if _fits(study, prompt)}
    recorded: dict[str, Any] = {"prompts": {}, "pictures": {}}
    for prompt in track(firsts, "recording answers", len(firsts), "prompts"):
        others = [number for other, number in firsts.items() if other != prompt]
        recorded["prompts"][prompt] = _recorded(study, prompt, words, others)
    recorded["pictures"] = {
        number: data_uri(study.picture_bytes(number)) for number in _shown(recorded["prompts"])
    }
    return _assembled(json.dumps(recorded, ensure_ascii=False, separators=(",", ":")))


def _recorded(
    study: OpenStudy, prompt: str, words: Sequence[str], others: Iterable[int | None]
) -> dict[str, Any]:
    """A prompt's answer, and what changes in it by each exchange of one picture of its last token."""
    found = answer(study, prompt, words=words)
    last, changed = len(found["tokens"]) - 1, {}
    mine = {picture["id"] for picture in found["tokens"][last]["pictures"] if picture}
    stand_ins = [n for n in dict.fromkeys(others) if n is not None and n not in mine][:STAND_INS]
    looking = [voice for voice in study.voices if voice.sees_retrieved]
    for place in range(len(found["tokens"][last]["pictures"])):
        for number in (None, *stand_ins):
            after = answer(study, prompt, [Exchange(last, place, number)], words, looking)
            changed[f"{last} {place} {'' if number is None else number}"] = {
                "pictures": after["tokens"][last]["pictures"],
                "models": after["models"],
            }
    pictures = [asdict(study.picture(number)) for number in stand_ins]
    return found | {"changed": changed, "stand_ins": pictures}


def _known_words(study: OpenStudy) -> list[str]:
    """The colour words that are one token of the vocabulary."""
    return [word for word in COLOURS if len(study.tokenizer.encode(f" {word}")) == 1]


def _fits(study: OpenStudy, prompt: str) -> bool:
    return 1 <= len(study.tokenizer.encode(prompt)) <= study.context_tokens


def _first_picture(study: OpenStudy, prompt: str) -> int | None:
    """The picture that a prompt's last token retrieves first."""
    found = study.retrieve(study.tokenizer.encode(prompt))
    return int(found.ids[-1, 0]) if found.mask[-1, 0] else None


def _shown(prompts: dict[str, Any]) -> list[int]:
    """Ids of all pictures that the page can show."""
    shown = set()
    for found in prompts.values():
        rows = [token["pictures"] for token in found["tokens"]]
        rows += [change["pictures"] for change in found["changed"].values()]
        rows.append(found["stand_ins"])
        shown |= {picture["id"] for row in rows for picture in row if picture}
    return sorted(shown)


def _assembled(recorded: str) -> str:
    """One file of the page's parts; what is recorded is data that no parser can read as markup."""
    page, style, script = (
        (resources.files("valm.serve") / "page" / f"viewer.{kind}").read_text(encoding="utf-8")
        for kind in ("html", "css", "js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY.format(digest)}">'
    data = recorded.replace("<", "\\u003c")
    block = f'<script type="application/json" id="recorded">{data}</script>'
    page = page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{policy}', 1)
    page = page.replace(STYLE, f"<style>{style}</style>", 1)
    return page.replace(SCRIPT, f"{block}\n<script>{script}</script>", 1)
