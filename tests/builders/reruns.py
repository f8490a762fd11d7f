"""Which rules run again after which change: a key of the configuration, or a module of the code.

The values are for the tiny study. A key of a list's entries stands with its list, ``a.b[].c``; what is
set is the whole list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

REPORT = {"run_notebook", "write_report"}
SCORES = {"score_models"} | REPORT
ANSWERS = {"evaluate_model"} | SCORES
SIGHTS = {"look_at_prompts"} | REPORT
VIEWER = {"write_viewer", "write_report"}
MODELS = {"train_model"} | ANSWERS | SIGHTS | VIEWER
RECALL = {"measure_recall"} | REPORT
LOOKING_UP = {"find_neighbours", "show_pictures", "illustrate_task"} | MODELS | RECALL
INDICES = {"build_index"} | LOOKING_UP
VECTORS = {"embed_pictures"} | INDICES
ENCODER = {"make_encoder"} | VECTORS
FEATURES = {"extract_features"} | ENCODER
TOKENS = {"write_tokens", "prepare_task", "audit_leakage"} | ENCODER
TOKENIZER = {"train_tokenizer"} | TOKENS
TEXT = {"write_text"} | TOKENIZER
PICTURE_LIST = {"list_pictures", "list_retracted"} | FEATURES | TEXT
PICTURES = {"write_pictures"} | PICTURE_LIST
EVERYTHING = {"fetch_source"} | PICTURES


@dataclass(frozen=True)
class Change:
    """Another value for a key, and exactly the rules that run again for it.

    Attributes:
        value: The value.
        rules: The rules.
        at: The key that is set, if it is not the row's own: the list of a key ``a.b[].c``.
        other_jobs: The change asks for other jobs, or gives a job other inputs; otherwise the same
            jobs are handed other sections.
    """

    value: Any
    rules: set[str]
    at: str = ""
    other_jobs: bool = False


BERT = {"name": "bert", "kind": "masked_lm", "checkpoint": "no-such-folder"}
FIXED = {
    "name": "fixed",
    "query": {"window_tokens": 16, "stride_tokens": 8},
    "index": "exact",
}
PROMPT = {"prompt": "a red disc is", "instead": "green disc"}
GPT2_STAR = {"name": "gpt2_star", "fusion": {"name": "none"}, "pictures": "none"}
VALM = {"name": "valm", "fusion": {"name": "joint"}, "pictures": "retrieved"}
EXACT = {"name": "exact", "factory": "Flat", "recall_floor": 0.99}
IVF = {"name": "ivf", "factory": "IVF4,Flat", "nprobe": 2}
SENTENCES, CAPTIONS = {"name": "drawn_sentences"}, {"name": "captions"}
NOT_SEARCHED = {"build_index"} | RECALL  # an index that nothing but its recall is measured on


def indices(path: str, entry: dict[str, Any], rules: set[str], **more: Any) -> dict[str, Change]:
    """A row for a key of the index that is not searched."""
    change = Change([EXACT, entry], rules, at="retrieve.indices", **more)
    return {f"retrieve.indices[].{path}": change}


def presets(
    path: str, entry: dict[str, Any], rules: set[str] = LOOKING_UP, **more: Any
) -> dict[str, Change]:
    """A row for a key of the one preset."""
    change = Change([entry], rules, at="retrieve.presets", **more)
    return {f"retrieve.presets[].{path}": change}


def queried(**values: Any) -> Iterator[tuple[str, Change]]:
    """Rows for keys of the one preset's queries."""
    for name, value in values.items():
        yield from presets(
            f"query.{name}", FIXED | {"query": FIXED["query"] | {name: value}}
        ).items()


def variants(path: str, entry: dict[str, Any], **more: Any) -> dict[str, Change]:
    """A row for a key of VaLM's entry; GPT-2* is not touched, which no set of rules can say."""
    change = Change([GPT2_STAR, entry], MODELS, at="models.variants", **more)
    return {f"models.variants[].{path}": change}


def trained(**values: Any) -> Iterator[tuple[str, Change]]:
    """Rows for keys of training."""
    for name, value in values.items():
        yield f"train.{name.replace('__', '.')}", Change(value, MODELS)


def asked(**values: Any) -> Iterator[tuple[str, Change]]:
    """Rows for keys of a baseline; the tiny study has none, so its jobs are new."""
    for name, value in values.items():
        rules = {"evaluate_baseline"} | SCORES
        change = Change([BERT | {name: value}], rules, at="evaluate.baselines", other_jobs=True)
        yield f"evaluate.baselines[].{name}", change


KEYS: dict[str, Change] = {
    "study": Change("tiny_again", EVERYTHING, other_jobs=True),
    "seed": Change(2, TEXT | PICTURE_LIST - {"list_pictures", "list_retracted", "extract_features"}),
    "ingest.mirror": Change("elsewhere", set()),
    "ingest.pictures.sources": Change(["drawn_shapes", "fluent_emoji"], EVERYTHING, other_jobs=True),
    "ingest.pictures.params": Change({"drawn_shapes": {}}, set()),
    "ingest.pictures.expected": Change(90, set()),
    "ingest.pictures.storage.side_pixels": Change(32, PICTURES),
    "ingest.pictures.storage.samples_per_shard": Change(50, PICTURES),
    "ingest.pictures.storage.maximum_megapixels": Change(1.0, PICTURES),
    "ingest.pictures.storage.maximum_reject_fraction": Change(0.4, PICTURES),
    "ingest.pictures.duplicates.distance_bits": Change(3, PICTURE_LIST),
    "ingest.pictures.duplicates.colour_distance": Change(3, PICTURE_LIST),
    "ingest.text.sources": Change([SENTENCES], TOKENIZER, other_jobs=True),
    "ingest.text.sources[].name": Change(
        [SENTENCES], TOKENIZER, at="ingest.text.sources", other_jobs=True
    ),
    "ingest.text.sources[].maximum_tokens": Change(
        [SENTENCES | {"maximum_tokens": 900}, CAPTIONS], TOKENIZER, at="ingest.text.sources"
    ),
    "ingest.text.params": Change({"drawn_sentences": {}}, TEXT),
    "ingest.text.colour_notes.share": Change(0.2, TOKENS),
    "ingest.text.documents": Change("lines", TOKENIZER),
    "ingest.text.decontaminate": Change(
        "report", {"list_phrases", "measure_overlap"} | REPORT, other_jobs=True
    ),
    "ingest.text.split.valid_fraction": Change(0.1, TOKENIZER),
    "ingest.text.split.test_fraction": Change(0.1, TOKENIZER),
    "ingest.tokenizer.kind": Change("clip", TOKENIZER),
    "ingest.tokenizer.checkpoint": Change("a-folder", TOKENIZER),
    "ingest.tokenizer.revision": Change("main", TOKENIZER),
    "ingest.tokenizer.vocabulary_size": Change(700, TOKENIZER),
    "embed.features.side_pixels": Change(32, FEATURES),
    "embed.features.precision": Change("float32", FEATURES),
    "embed.encoder.name": Change("open_clip", ENCODER),
    "embed.encoder.params": Change({"hidden_width": 32}, ENCODER),
    "retrieve.presets": Change(
        [FIXED, FIXED | {"name": "parity"}], {"find_neighbours"} | RECALL, other_jobs=True
    ),
    **presets("name", FIXED | {"name": "parity"}, other_jobs=True),
    **presets("index", FIXED | {"index": "ivf"}),
    **presets("mode", FIXED | {"mode": "online"}, MODELS, other_jobs=True),
    **presets(
        "exclude_same_document",
        FIXED | {"exclude_same_document": False},
        {"find_neighbours", "illustrate_task"} | MODELS,
    ),
    **presets("text_states", FIXED | {"text_states": False}),
    **dict(queried(scheme="chunks", sequence_tokens=256, window_tokens=12, stride_tokens=4)),
    "retrieve.indices": Change([EXACT], RECALL, other_jobs=True),
    **indices("name", IVF | {"name": "inverted"}, NOT_SEARCHED, other_jobs=True),
    **indices("factory", IVF | {"factory": "IVF2,Flat"}, NOT_SEARCHED),
    **indices("keys", IVF | {"keys": "raw"}, NOT_SEARCHED),
    **indices("similarity", IVF | {"similarity": "l2"}, NOT_SEARCHED),
    **indices("exact_below", IVF | {"exact_below": 100}, NOT_SEARCHED),
    **indices("pictures_fraction", IVF | {"pictures_fraction": 0.5}, NOT_SEARCHED),
    **indices("training_vectors", IVF | {"training_vectors": 50}, NOT_SEARCHED),
    **indices("nprobe", IVF | {"nprobe": 3}, NOT_SEARCHED),
    **indices("minimum_score", IVF | {"minimum_score": 0.2}, NOT_SEARCHED),
    **indices("recall_floor", IVF | {"recall_floor": 0.1}, RECALL),
    "retrieve.top_k": Change(2, LOOKING_UP),
    "retrieve.recall.queries": Change(50, RECALL),
    "retrieve.recall.at": Change([1, 2], RECALL),
    "models.trunk.architecture": Change("gpt2", MODELS),
    "models.trunk.init_from": Change(
        {"positions": "learned", "init_from": {"checkpoint": "gpt2", "sha256": "0" * 64}},
        MODELS,
        at="models.trunk",
    ),
    "models.trunk.layers": Change(3, MODELS),
    "models.trunk.width": Change(16, MODELS),
    "models.trunk.heads": Change(1, MODELS),
    "models.trunk.context_tokens": Change(16, MODELS),
    "models.trunk.positions": Change("learned", MODELS),
    "models.trunk.dropout": Change(0.1, MODELS),
    "models.variants": Change([GPT2_STAR], SCORES | SIGHTS | VIEWER, other_jobs=True),
    **variants("name", VALM | {"name": "other"}, other_jobs=True),
    **variants("fusion.name", VALM | {"fusion": {"name": "none"}}),
    **variants("fusion.params", VALM | {"fusion": {"name": "joint", "params": {"scale": 2.0}}}),
    **variants("pictures", VALM | {"pictures": "random"}),
    **variants("top_k", VALM | {"top_k": 2}),
    "models.variants[].preset": Change(
        [GPT2_STAR, VALM | {"preset": "fixed"}], set(), at="models.variants"
    ),  # named, it is the one that is taken without
    **variants("objective", VALM | {"objective": "prefix_lm"}),
    **variants("image_mask_probability", VALM | {"image_mask_probability": 0.1}),
    "train.seeds": Change([1, 2], MODELS, other_jobs=True),
    **dict(
        trained(
            steps=21,
            sequences_per_step=4,
            precision="bfloat16",
            optimiser__learning_rate=0.001,
            optimiser__warmup_steps=6,
            optimiser__schedule="inverse_sqrt",
            optimiser__weight_decay=0.02,
            optimiser__betas=[0.9, 0.99],
            optimiser__clip_norm=1.0,
            devices__strategy="fsdp",
            devices__per_node=2,
            devices__nodes=2,
            devices__accumulate_steps=2,
            devices__activation_checkpointing=True,
            validate_every_steps=5,
            validation_tokens=256,
            metrics_every_steps=5,
            compile=True,
        )
    ),
    "train.checkpoint_every_steps": Change(5, set()),
    "train.tracking": Change("trackio", set()),
    "train.retrieval_processes": Change(2, set()),
    "evaluate.tasks": Change(["shape"], {"audit_leakage"} | SCORES, other_jobs=True),
    "evaluate.optional_tasks": Change(
        ["size"], {"prepare_task", "audit_leakage", "illustrate_task"} | ANSWERS, other_jobs=True
    ),
    "evaluate.samples": Change({"shape": 5}, {"prepare_task", "audit_leakage", "illustrate_task"} | ANSWERS),
    "evaluate.words": Change({"shape": 5}, {"prepare_task", "audit_leakage", "illustrate_task"} | ANSWERS),
    "evaluate.controls": Change(["permuted", "zero"], ANSWERS | VIEWER),
    "evaluate.baselines": Change([BERT], {"evaluate_baseline"} | SCORES, other_jobs=True),
    **dict(
        asked(
            name="other",
            kind="causal_lm",
            checkpoint="another-folder",
            revision="main",
            sha256="0" * 64,
        )
    ),
    "evaluate.statistics.bootstrap_samples": Change(101, SCORES),
    "evaluate.statistics.confidence": Change(0.9, SCORES),
    "evaluate.statistics.comparisons": Change([["valm", "gpt2_star"]], SCORES),
    "evaluate.counterfactuals": Change([PROMPT], SIGHTS | VIEWER),
    "evaluate.counterfactuals[].prompt": Change(
        [PROMPT | {"prompt": "a blue disc is"}], SIGHTS | VIEWER, at="evaluate.counterfactuals"
    ),
    "evaluate.counterfactuals[].instead": Change(
        [PROMPT | {"instead": "blue disc"}], SIGHTS | VIEWER, at="evaluate.counterfactuals"
    ),
    "report.prompts": Change(["a blue disc"], {"show_pictures"} | REPORT | VIEWER),
}  # fmt: skip

# A module, and the rules that run again when its code (not its comments) is edited.
MODULES: dict[str, set[str]] = {
    "valm.cli.train": set(),
    "valm.config.retrieve": set(),
    "valm.core.progress": set(),
    "valm.errors": set(),
    "valm.core.manifest": EVERYTHING,
    "valm.ingest.raw.fetch": {"fetch_source"}
    | FEATURES,  # its one raw file is the network of the features
    "valm.ingest.picture_sources.drawn_shapes": PICTURES,
    "valm.ingest.picture_sources.fluent_emoji": set(),
    "valm.ingest.pictures.numbering": PICTURE_LIST,
    "valm.ingest.text.write": TEXT,
    "valm.ingest.text.tokens": TOKENS,
    "valm.embed.features.extract": FEATURES,
    "valm.embed.towers.text_training": ENCODER,
    "valm.embed.pictures": VECTORS,
    "valm.retrieve.index": INDICES,
    "valm.retrieve.queries": LOOKING_UP,
    "valm.retrieve.recall": RECALL,
    "valm.retrieve.explain": {"show_pictures"} | REPORT,
    "valm.retrieve.given": MODELS,
    "valm.models.trunk": MODELS,
    "valm.models.fusions.joint": MODELS,
    "valm.train.optimiser": MODELS,
    "valm.train.saved_model": MODELS,
    "valm.evaluate.tasks.shape": {"prepare_task", "audit_leakage", "illustrate_task"} | ANSWERS,
    "valm.evaluate.answers.illustrate": {"illustrate_task"} | ANSWERS | SIGHTS | VIEWER,
    "valm.evaluate.answers.answering": ANSWERS | SIGHTS | VIEWER,
    "valm.evaluate.answers.sights": SIGHTS,
    "valm.evaluate.scores.score": SCORES,
    "valm.evaluate.scores.cell": set(),
    "valm.report.words.numbers": REPORT,
    "valm.report.pages.report": {"write_report"},
}
