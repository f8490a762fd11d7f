"""What a study will hold and cost, from its configuration; what has been made already is read, not guessed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from valm.config.models import Trunk, Variant
from valm.config.retrieve import Index, Preset, Query
from valm.config.study import Study
from valm.core.manifest import Manifest, read_manifest
from valm.embed.encoder_cost import EncoderCost, encoder_cost
from valm.models.fusion import make_fusion
from valm.retrieve.sizes import index_bytes, neighbour_bytes
from valm.train.step_cost import step_cost

ENTRIES = {"clip": 49_408, "clip_fairseq": 49_412}
FLOAT16, FLOAT32 = 2, 4
TEXT_STATE = "text_state"
HOUR = 3_600


@dataclass(frozen=True)
class Throughput:
    """What somebody has measured: GPT-2* of the paper's shape, on one of their GPUs.

    Attributes:
        gpu: Which, and in which element type.
        tokens_per_second: Of training, on one GPU.
        source: Who measured it, and how it was taken from what they state.
    """

    gpu: str
    tokens_per_second: float
    source: str


THROUGHPUTS = (
    Throughput(
        "A100, float16",
        245_000 / 4,
        "245,000 tokens/s on 4 GPUs: GPT-2* in the logs of a re-run of the official code (Blind-VaLM, arXiv 2409.11148)",
    ),
    Throughput(
        "V100, float32",
        500_000 * 65_536 / (6 * 24 * HOUR) / 16 * 2.06,
        "VaLM's 500,000 steps of 65,536 tokens in about 6 days on 16 GPUs (its authors), times 2.06, the cost of"
        " retrieval in every step (the paper's Table 7)",
    ),
)
# What the throughputs were measured on.
PAPERS_TRUNK = Trunk(layers=12, width=768, heads=12, context_tokens=512)
ASSUMED = (
    "GPU hours are the operations of matrix products and convolutions, counted, over the operations a second that a"
    " stated throughput means; encoding is taken to be as fast as training. Search, disks, evaluation and"
    " restarts are not in them.",
    "A token is encoded as often as query windows overlap; equal and short texts cost less.",
    "Until they are made, tokens are the caps of ingest.text.sources, pictures are ingest.pictures.expected.",
)


@dataclass(frozen=True)
class Known:
    """What is known of a study before its figures are taken; None where only making it will tell.

    Attributes:
        vocabulary: Number of token ids.
        tokens: Of the training text.
        pictures: Of the image base.
        key_width: Of a picture's key.
        value_width: Of a picture's value.
        encoder: What encoding costs.
    """

    vocabulary: int | None
    tokens: int | None
    pictures: int | None
    key_width: int | None
    value_width: int | None
    encoder: EncoderCost | None

    @classmethod
    def of(cls, study: Study) -> Known:
        """From the manifests of what has been made, else from the configuration."""
        tokenizer, text = study.ingest.tokenizer, study.ingest.text
        stated = ENTRIES.get(tokenizer.kind)
        if tokenizer.kind == "bpe":
            stated = tokenizer.vocabulary_size
        caps = [source.maximum_tokens for source in text.sources]
        capped = None if None in caps or text.colour_notes.share else sum(c for c in caps if c)
        tokens = _manifest(study, "ingest/tokens/tokens")
        pictures = _manifest(study, "ingest/pictures/list")
        encoder = _manifest(study, "embed/encoder/encoder")
        cost = encoder_cost(study.embed.encoder)
        widths: tuple[int | None, int | None] = (None, None)
        if encoder is not None:
            widths = int(encoder.facts["key_width"]), int(encoder.facts["value_width"])
        elif cost is not None:
            widths = cost.key_width, cost.value_width
        return cls(
            vocabulary=int(tokens.facts["vocabulary_size"]) if tokens else stated,
            tokens=tokens.rows if tokens else capped,
            pictures=pictures.rows if pictures else study.ingest.pictures.expected,
            key_width=widths[0],
            value_width=widths[1],
            encoder=cost,
        )


def forecast(study: Study) -> dict[str, Any]:
    """All figures as plain data; None where only making something will tell.

    Raises:
        ConfigError: A factory string, or a parameter of a plug-in, is wrong.
    """
    known, retrieve = Known.of(study), study.retrieve
    models = [_model(study, variant, known) for variant in study.models.variants]
    tables = [_table(preset, retrieve.top_k, known) for preset in retrieve.presets]
    return {
        "study": study.study,
        "models": models,
        "tokens": _tokens(study, known),
        "pictures": _pictures(known),
        "indices": [_index(index, known) for index in retrieve.indices],
        "neighbours": tables,
        "gpu_hours": [
            {"gpu": rate.gpu} | _hours(study, models, known, _speed(rate)) for rate in THROUGHPUTS
        ],
        "throughputs": [asdict(rate) for rate in THROUGHPUTS],
        "assumed": list(ASSUMED),
    }


def _manifest(study: Study, name: str) -> Manifest | None:
    path = study.results / f"{name}.manifest.json"
    return read_manifest(path) if path.is_file() else None


def _model(study: Study, variant: Variant, known: Known) -> dict[str, Any]:
    """Parameters of a variant, and operations of a token of its training."""
    top_k = 1 if variant.pictures == TEXT_STATE else variant.top_k or study.retrieve.top_k
    reads = make_fusion(variant.fusion.name, variant.fusion.params).reads_pictures
    width = known.value_width if reads else 0
    cost = None
    if known.vocabulary is not None and width is not None:
        cost = step_cost(study.models.trunk, variant, known.vocabulary, width, top_k)
    return {
        "name": variant.name,
        "preset": study.retrieve.preset_named(variant.preset).name if reads else None,
        "pictures": variant.pictures,
        "top_k": top_k if reads else 0,
        "parameters": cost and cost.parameters,
        "operations_per_token": cost and round(cost.operations),
    }


def _tokens(study: Study, known: Known) -> dict[str, Any]:
    train = study.train
    per_step = train.sequences_per_step * study.models.trunk.context_tokens
    seen = train.steps * per_step
    passes = None if known.tokens is None else round(seen / known.tokens, 2)
    return {
        "corpus": known.tokens,
        "per_step": per_step,
        "steps": train.steps,
        "seen": seen,
        "passes": passes,
    }


def _pictures(known: Known) -> dict[str, Any]:
    """The image base: keys and values in float16, norms in float32."""
    vectors = None
    if None not in (known.pictures, known.key_width, known.value_width):
        a_picture = FLOAT16 * (known.key_width + known.value_width) + FLOAT32  # type: ignore[operator]
        vectors = known.pictures * a_picture  # type: ignore[operator]
    return {"count": known.pictures, "vector_bytes": vectors}


def _index(index: Index, known: Known) -> dict[str, Any]:
    made = None
    if known.pictures is not None:
        index = index.holding(round(known.pictures * index.pictures_fraction))
        if known.key_width is not None:
            made = index_bytes(index, known.key_width, known.pictures)
    return {"name": index.name, "factory": index.factory, "bytes": made}


def _table(preset: Preset, top_k: int, known: Known) -> dict[str, Any]:
    a_token = None
    if known.value_width is not None or not preset.text_states:
        a_token = neighbour_bytes(preset, top_k, known.value_width or 0)
    total = None if a_token is None or known.tokens is None else a_token * known.tokens
    return {"preset": preset.name, "bytes_per_token": a_token, "bytes": total}


def _speed(rate: Throughput) -> float:
    """Operations a second that a throughput means."""
    paper = step_cost(PAPERS_TRUNK, Variant(name="gpt2_star"), ENTRIES["clip_fairseq"], 0, 0)
    return rate.tokens_per_second * paper.operations


def _hours(
    study: Study, models: Iterable[dict[str, Any]], known: Known, speed: float
) -> dict[str, Any]:
    """Hours of one GPU for each part of the study."""
    seen = _tokens(study, known)["seen"] * len(study.train.seeds)
    trained = {
        model["name"]: _rounded(seen, model["operations_per_token"], speed) for model in models
    }
    per_picture, per_token = None, None
    if known.encoder is not None:
        per_picture, per_token = known.encoder.per_picture, known.encoder.per_token
    queries = {
        preset.name: _rounded(known.tokens, per_token, speed, _readings(preset.query))
        for preset in study.retrieve.presets
    }
    embedding = _rounded(known.pictures, per_picture, speed)
    parts = [*trained.values(), *queries.values(), embedding]
    total = None if None in parts else round(sum(part for part in parts if part is not None))
    return {"train": trained, "embed": embedding, "queries": queries, "all": total}


def _rounded(
    count: int | None, operations: float | None, speed: float, times: float = 1
) -> float | None:
    if count is None or operations is None:
        return None
    return round(count * operations * times / speed / HOUR, 1)


def _readings(query: Query) -> float:
    """How often a token of a long text is encoded."""
    return 1.0 if query.scheme == "chunks" else query.window_tokens / query.stride_tokens
