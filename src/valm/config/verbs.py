"""The verbs of the study: for each its phase, the module that does it, and the keys it reads.

One table serves three readers: rules put a verb's section and code fingerprint into ``params``, the
command line hands the section over, and the tests hold "this key re-runs exactly these rules".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from valm.config.study import Study
from valm.core.fingerprint import code_digest
from valm.core.registry import did_you_mean
from valm.errors import ConfigError


@dataclass(frozen=True)
class Verb:
    """One verb: where its code is and what it reads of the configuration.

    Attributes:
        reads: The nodes that its result depends on: they make its section.
        aside: Keys below those nodes that change no byte of the result, but how its making is
            watched and survives a kill: they stand in no section, so changing one re-runs nothing.
        histories: Files beside its manifest that tell how the making went: in no manifest, since no
            two runs write the same.
    """

    phase: str
    module: str
    reads: tuple[str, ...] = ()
    aside: tuple[str, ...] = ()
    histories: tuple[str, ...] = ()


VERBS: dict[str, Verb] = {
    "fetch-source": Verb("ingest", "valm.ingest.raw.fetch"),
    "list-urls": Verb("ingest", "valm.ingest.pictures.url_list", ("ingest.pictures.params",)),
    "download-pictures": Verb(
        "ingest", "valm.ingest.pictures.download", ("ingest.pictures.params",)
    ),
    "write-pictures": Verb("ingest", "valm.ingest.pictures.write", ("ingest.pictures.storage",)),
    "write-picture-shard": Verb(
        "ingest",
        "valm.ingest.pictures.shards",
        ("ingest.pictures.storage", "ingest.pictures.params"),
    ),
    "gather-pictures": Verb("ingest", "valm.ingest.pictures.shards"),
    "list-pictures": Verb(
        "ingest",
        "valm.ingest.pictures.numbering",
        ("ingest.pictures.sources", "ingest.pictures.duplicates"),
    ),
    "list-retracted": Verb("ingest", "valm.ingest.pictures.retraction"),
    "write-text": Verb("ingest", "valm.ingest.text.write", ("ingest.text.params", "seed")),
    "train-tokenizer": Verb(
        "ingest",
        "valm.ingest.vocabulary.tokenizer",
        (
            "ingest.tokenizer",
            "ingest.text.sources",
            "ingest.text.split",
            "ingest.text.documents",
        ),
    ),
    "write-tokens": Verb("ingest", "valm.ingest.text.tokens", ("ingest.text", "seed")),
    "list-phrases": Verb("ingest", "valm.ingest.text.phrases"),
    "measure-overlap": Verb("ingest", "valm.ingest.text.overlap"),
    "extract-features": Verb("embed", "valm.embed.features.extract", ("embed.features",)),
    "make-encoder": Verb("embed", "valm.embed.make", ("embed.encoder", "seed")),
    "embed-pictures": Verb("embed", "valm.embed.pictures", ()),
    "build-index": Verb("retrieve", "valm.retrieve.index", ("retrieve.indices", "seed")),
    "measure-recall": Verb(
        "retrieve",
        "valm.retrieve.recall",
        ("retrieve.presets", "retrieve.recall", "retrieve.indices", "retrieve.top_k", "seed"),
        histories=("recall.json",),  # queries a second are another number every time
    ),
    "find-neighbours": Verb(
        "retrieve", "valm.retrieve.neighbours", ("retrieve.presets", "retrieve.top_k")
    ),
    "show-pictures": Verb(
        "retrieve",
        "valm.retrieve.explain",
        ("report.prompts", "retrieve.presets", "retrieve.top_k"),
    ),
    "train-model": Verb(
        "train",
        "valm.train.fit",
        (
            "models.trunk",
            "models.variants",
            "train",
            "retrieve.presets",  # these two in place of a table, if its preset is online
            "retrieve.top_k",
            "seed",
        ),
        aside=(
            "train.checkpoint_every_steps",
            "train.tracking",
            "train.retrieval_processes",
        ),
        histories=("metrics.jsonl",),
    ),
    "prepare-task": Verb(
        "evaluate", "valm.evaluate.questions.prepare", ("evaluate.samples", "evaluate.words")
    ),
    "illustrate-task": Verb(
        "evaluate", "valm.evaluate.answers.illustrate", ("retrieve.presets", "retrieve.top_k")
    ),
    "evaluate-model": Verb(
        "evaluate",
        "valm.evaluate.answers.predict",
        ("evaluate.controls", "models.variants", "models.trunk", "seed"),
    ),
    "look-at-prompts": Verb(
        "evaluate",
        "valm.evaluate.answers.sights",
        (
            "evaluate.counterfactuals",
            "embed.features",
            "models.variants",
            "retrieve.presets",
            "retrieve.top_k",
            "seed",
        ),
    ),
    "evaluate-baseline": Verb(
        "evaluate", "valm.evaluate.answers.ask_baseline", ("evaluate.baselines",)
    ),
    "audit-leakage": Verb("evaluate", "valm.evaluate.leakage"),
    "score-models": Verb("evaluate", "valm.evaluate.scores.score", ("evaluate.statistics", "seed")),
    "score-cell": Verb(
        "evaluate",
        "valm.evaluate.scores.cell",
        ("evaluate.controls", "evaluate.statistics", "models.variants", "models.trunk", "seed"),
    ),
    "score-changes": Verb(
        "evaluate", "valm.evaluate.scores.changes", ("evaluate.statistics", "seed")
    ),
    "run-notebook": Verb("report", "valm.report.pages.notebooks", ("study",)),
    "write-viewer": Verb(
        "report",
        "valm.serve.recorded_page",
        (
            "study",
            "seed",
            "models.trunk",
            "models.variants",
            "retrieve.presets",
            "retrieve.top_k",
            "train.seeds",
            "evaluate.controls",
            "evaluate.counterfactuals",
            "report.prompts",
        ),
    ),
    "write-report": Verb("report", "valm.report.pages.report", ("study",)),
    "write-changes": Verb("report", "valm.report.pages.changes", ("study",)),
}

# Verbs whose rules run on request only, or for what a study may list: the default study does without.
ON_REQUEST = (
    "score-cell", "evaluate-baseline", "score-changes", "write-changes",
    "list-urls", "download-pictures", "write-picture-shard", "gather-pictures", "list-phrases", "measure-overlap",
)  # fmt: skip

# Verbs whose results speak of one study, so that no other takes them; and those that each study does for
# itself, since they look after files outside of its results.
OF_ONE_STUDY = ("run-notebook", "write-viewer", "write-report", "write-changes")
ALWAYS_DONE = ("fetch-source",)

# Verbs that find the pictures of the study's own documents; others look up texts that came with none.
OF_STREAMS = ("find-neighbours", "illustrate-task", "train-model")

# The variable by which the workflow hands all its jobs the keys that are read aside, as JSON.
ASIDE = "VALM_ASIDE"

# Lists of named entries of which a rule takes one: only that entry is in its section.
CHOSEN_BY = {
    "retrieve.indices": "index",
    "retrieve.presets": "preset",
    "models.variants": "model",
    "evaluate.baselines": "baseline",
}

# Mappings by the name of a plug-in, of which a rule takes its plug-in's entry.
BY_PLUGIN = {
    "evaluate.samples": "task",
    "evaluate.words": "task",
    "ingest.pictures.params": "source",
    "ingest.text.params": "source",
}


def verb_named(name: str) -> Verb:
    """Look a verb up.

    Raises:
        ConfigError: There is no such verb.
    """
    if name not in VERBS:
        raise ConfigError(f"there is no verb {name!r}", cure=did_you_mean(name, VERBS))
    return VERBS[name]


def section_for(study: Study, verb: str, **choices: str | int) -> dict[str, Any]:
    """The nodes of the configuration that a verb reads, by dotted key path, as plain data.

    A choice narrows a list of named entries to the chosen one: training ``valm`` does not read
    what the other variants are.
    """
    data = study.model_dump(mode="json")
    section: dict[str, Any] = {}
    for path in verb_named(verb).reads:
        node = _node_at(data, path)
        chosen = choices.get(CHOSEN_BY.get(path, ""))
        section[path] = node if chosen is None else [_entry_named(node, path, str(chosen))]
    if verb == "train-model":
        left_out = {"train.seeds", *VERBS[verb].aside}
        section["train"] = {
            key: value for key, value in section["train"].items() if f"train.{key}" not in left_out
        }
        if "model" in choices:
            online = online_preset(study, str(choices["model"]))
            node = section.pop("retrieve.presets")
            top_k = section.pop("retrieve.top_k")
            if online is not None:
                section["retrieve.presets"] = [_entry_named(node, "retrieve.presets", online)]
                section["retrieve.top_k"] = top_k
    if "models.variants" in section:
        # The pictures of which preset it is given is a matter of its inputs.
        section["models.variants"] = [
            {key: value for key, value in entry.items() if key != "preset"}
            for entry in section["models.variants"]
        ]
    if "retrieve.presets" in section:
        # Whether pictures lie in a table is no matter of which they are.
        left_out = {"mode"} if verb in OF_STREAMS else {"mode", "exclude_same_document"}
        section["retrieve.presets"] = [
            {key: value for key, value in entry.items() if key not in left_out}
            for entry in section["retrieve.presets"]
        ]
    if verb == "build-index":
        # The floor is what its recall is measured against; an index is the same with any.
        section["retrieve.indices"] = [
            {key: value for key, value in entry.items() if key != "recall_floor"}
            for entry in section["retrieve.indices"]
        ]
    if verb == "write-tokens":
        # What sources are given, and the phrases that are left out, come to it as inputs.
        section["ingest.text"] = {
            key: value
            for key, value in section["ingest.text"].items()
            if key not in ("params", "decontaminate")
        }
    for path, chooser in BY_PLUGIN.items():
        if path in section and chooser in choices:
            own = section[path].items()
            section[path] = {k: v for k, v in own if k == choices[chooser]}
    if "evaluate.controls" in section and "model" in choices:
        if not study.models.named(str(choices["model"])).takes_controls:
            section["evaluate.controls"] = []
    return section


def online_preset(study: Study, model: str) -> str | None:
    """The name of the preset by which a model's pictures are found while it is trained, if any are."""
    variant = study.models.named(model)
    preset = study.retrieve.preset_named(variant.preset)
    return preset.name if variant.pictures != "none" and preset.mode == "online" else None


def aside_for(study: Study, *verbs: str) -> dict[str, Any]:
    """The keys that verbs read and that change no result, by dotted key path; of all if none."""
    data = study.model_dump(mode="json")
    keys = {key for verb in verbs or VERBS for key in verb_named(verb).aside}
    return {key: _node_at(data, key) for key in sorted(keys)}


def _node_at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data[key]
    return data


def _entry_named(entries: list[dict[str, Any]], path: str, name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    names = [entry["name"] for entry in entries]
    raise ConfigError(f"no entry named {name!r}", where=path, cure=did_you_mean(name, names))


def code_for(verb: str, *plugin_modules: str) -> str:
    """Fingerprint of the code behind a verb and the plug-ins that a job of it uses."""
    return code_digest(verb_named(verb).module, *plugin_modules)
