"""The model card: data, licences, scores and provenance, each from a manifest or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from valm.core.manifest import Manifest, read_manifest
from valm.export.ancestry import SUFFIX, Ancestry
from valm.report.figures.style import metric_label, model_label, task_label
from valm.report.pages.data_card import DATA_CARD_FILE
from valm.report.tables.markdown import markdown_table
from valm.report.words.numbers import NOTHING, number, score, with_interval

FRONT = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [valm, {tag}]
---
"""
READS = """\
A causal language model with visual augmentation (VaLM): in one of its layers each token attends, beside the text \
before it, to pictures that it is given as vectors. Without pictures it is a language model like any other."""
PLAIN = "A causal language model that reads text alone (GPT-2* of the VaLM paper)."
USE = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
prompt = tokenizer("the color of snow is", return_tensors="pt")
print(tokenizer.decode(model.generate(**prompt, do_sample=False)[0]))
```

`trust_remote_code=True` runs `modeling_valm.py` of this folder, which imports torch and transformers only: read it first.
"""
CLEANING = """\
The model was trained on texts that `ftfy.fix_text` had mended and `html.unescape` had resolved twice. The tokenizer here \
lower-cases; the rest is to be done before it.
"""
PICTURES = """\
Pictures are given as `picture_vectors` [batch, tokens, pictures, {width}] and `picture_mask`, to `model(...)` and to \
`generate(...)`; there they belong to the prompt's tokens.
"""
RETRIEVER = """\
`retriever/` finds them: each token's state, from the text tower in it, looks up those of {pictures} pictures whose \
keys are nearest to it. It needs torch, numpy, safetensors and faiss, and nothing of ours; \
`captions.parquet` says what each picture shows, where it is from and under which licence.

```python
import sys; sys.path.insert(0, f"{{folder}}/retriever")
from valm_retriever import Retriever

retriever = Retriever(f"{{folder}}/retriever")
print(model.generate(**prompt, retriever=retriever, do_sample=False))
```
"""


def model_card(
    manifest: Manifest,
    info: Mapping[str, Any],
    ancestry: Ancestry,
    results: Path,
    has_retriever: bool,
) -> str:
    """The card of a model as Markdown.

    Args:
        manifest: The model's.
        info: Its ``model.json``.
        results: Folder in which its scores are looked for.
    """
    reads = info["model"]["fusion"]["name"] != "none"
    title = model_label(info["variant"]) + (f", seed {info['seed']}" if "seed" in info else "")
    parts = [f"# {title}", READS if reads else PLAIN, "## Use", USE]
    if any(t.facts.get("kind") == "clip_fairseq" for t in ancestry.manifests("tokenizer").values()):
        parts.append(CLEANING)
    if reads:
        parts.append(PICTURES.format(width=info["model"]["value_width"]))
    if has_retriever:
        pictures = ancestry.manifests("index").values()
        parts.append(RETRIEVER.format(pictures=number(next(iter(pictures)).rows)))
    parts += ["## The model", markdown_table(("", ""), _facts(manifest, info))]
    parts += ["## Data", *_data(ancestry), "## Scores", *_scores(manifest, info, results)]
    parts += ["## Provenance", *_provenance(ancestry)]
    return FRONT.format(tag="visual" if reads else "text") + "\n" + "\n\n".join(parts) + "\n"


def _facts(manifest: Manifest, info: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Sizes and training, as ``model.json`` states them."""
    yield "parameters", number(manifest.rows)
    sizes = info["model"]["trunk"] | {
        "vocabulary": info["model"]["vocabulary_size"],
        "fusion": info["model"]["fusion"]["name"],
    }
    facts = {key: value for key, value in info.items() if key != "model"}
    for name, value in (sizes | facts).items():
        if isinstance(value, list):
            value = "; ".join(map(str, value))
        yield name.replace("_", " "), number(value) if type(value) is int else str(value)


def _data(ancestry: Ancestry) -> Iterator[str]:
    """The raw sources with their licences, and how much of each text was read in training."""
    sources = sorted(ancestry.manifests("source").items())
    if not sources:
        yield "The manifests at hand name no raw source."
        return
    names = ("holds", "origin", "licence")
    yield "The raw sources of the model and, where it reads pictures, of its pictures:"
    yield markdown_table(
        ("source", *names),
        ((p.name.removesuffix(SUFFIX), *(m.facts.get(n) for n in names)) for p, m in sources),
    )
    if ancestry.manifests("tokens"):
        yield f"`{DATA_CARD_FILE}` says what was kept of them, what was left out, and what evaluation shares with them."
    for tokens in ancestry.manifests("tokens").values():
        split = tokens.facts.get("splits", {}).get("train", {})
        if by_source := split.get("by_source"):
            yield f"Training text, {number(split['tokens'])} tokens:"
            rows = by_source.items()
            yield markdown_table(
                ("text", "documents", "tokens"),
                ((name, number(s["documents"]), number(s["tokens"])) for name, s in rows),
            )


def _scores(manifest: Manifest, info: Mapping[str, Any], results: Path) -> Iterator[str]:
    """The model's own scores, if the study's scores were measured on this very model."""
    path = results / "evaluate" / f"scores{SUFFIX}"
    if not path.is_file():
        yield "The study that the model is from has not been scored."
        return
    if manifest.digest not in Ancestry.of(path, results).found:
        yield "The scores at hand were measured on another training of this model, so none are given."
        return
    table = pl.read_parquet(path.with_name("scores.parquet"))
    mine = table.filter(
        (pl.col("model") == info["variant"])
        & (pl.col("seed") == info["seed"])
        & (pl.col("status") == "measured")
    )
    yield (
        f"Of this seed, with intervals as the study configures them; accuracies in percent. *legacy* is the metric of"
        f" the official code with its quirks, *corrected* is ours. `{path.name}`: {read_manifest(path).digest}."
    )
    yield markdown_table(
        (
            "task",
            "metric",
            "definition",
            "pictures",
            "score",
            "most frequent answer",
            "chance",
            "n",
        ),
        (
            (
                task_label(row["task"]),
                metric_label(row["metric"]),
                row["definition"],
                model_label(row["model"], row["control"]),
                with_interval(row["value"], row["low"], row["high"], row["unit"]),
                score(row["majority"], row["unit"]),
                score(row["chance"], row["unit"]),
                number(row["n"]),
            )
            for row in mine.to_dicts()
        ),
    )


def _provenance(ancestry: Ancestry) -> Iterator[str]:
    """Every manifest behind the model, by digest."""
    yield "Digests of the model's manifest and of all it was made from; of their settings and their code."
    rows = [
        (f"{path.parent.name}/{path.name.removesuffix(SUFFIX)}", m.kind, m.producer, digest,
         m.config_digest, m.code_digest)
        for (digest, path), m in zip(
            ancestry.found.items(), ancestry.manifests().values(), strict=True
        )
    ]  # fmt: skip
    missing = [
        (name.removesuffix(SUFFIX), NOTHING, NOTHING, digest, NOTHING, NOTHING)
        for name, digest in ancestry.missing.items()
    ]
    yield markdown_table(
        ("artifact", "kind", "made by", "digest", "settings", "code"), rows + missing
    )
