"""Checks the names of plug-ins in a study against the registries that it is handed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from valm.config.base import Plugin
from valm.config.parameter_keys import check_keys
from valm.config.retrieve import Preset
from valm.config.study import Study
from valm.core.registry import Registry, did_you_mean
from valm.errors import ConfigError

TEXT_STATE = "text_state"
ORACLE = "oracle"  # the one picture control that exists at evaluation only


def named_plugins(study: Study) -> dict[str, list[str]]:
    """The plug-in names that a study uses, by the key path they stand at."""
    variants = study.models.variants
    return {
        "ingest.pictures.sources": study.ingest.pictures.sources,
        "ingest.pictures.params": list(study.ingest.pictures.params),
        "ingest.text.sources": [source.name for source in study.ingest.text.sources],
        "ingest.text.params": list(study.ingest.text.params),
        "embed.encoder": [study.embed.encoder.name],
        "models.variants[].fusion": [variant.fusion.name for variant in variants],
        "models.variants[].pictures": [variant.pictures for variant in variants],
        "models.variants[].objective": [variant.objective for variant in variants],
        "models.trunk.architecture": [study.models.trunk.architecture],
        "evaluate.tasks": study.evaluate.tasks,
        "evaluate.optional_tasks": study.evaluate.optional_tasks,
        "evaluate.samples": list(study.evaluate.samples),
        "evaluate.words": list(study.evaluate.words),
        "evaluate.controls": study.evaluate.controls,
        "evaluate.baselines[].kind": [baseline.kind for baseline in study.evaluate.baselines],
    }


def _parametrised(study: Study) -> Iterator[tuple[str, Plugin]]:
    """The plug-ins that a study may give parameters, by the key paths of their registries."""
    yield "embed.encoder", study.embed.encoder
    for variant in study.models.variants:
        yield "models.variants[].fusion", variant.fusion


def check_plugins(study: Study, registries: Mapping[str, Registry[object]]) -> Study:
    """Return the study if every plug-in it names is registered, and takes what it is given.

    Args:
        registries: The registry for each key path of ``named_plugins``.

    Raises:
        ConfigError: Naming key path and plug-in, or parameter, with the closest known name.
    """
    for path, names in named_plugins(study).items():
        for name in names:
            try:
                registries[path].module(name)
            except ConfigError as error:
                raise ConfigError(error.what, where=path, cure=error.cure) from error
    for path, plugin in _parametrised(study):
        check_keys(registries[path].module(plugin.name), plugin.params, f"{path}.params")
    models = [variant.name for variant in study.models.variants]
    _check_unique("models.variants", models)
    baselines = [baseline.name for baseline in study.evaluate.baselines]
    _check_unique("models.variants and evaluate.baselines", [*models, *baselines])
    _check_unique("retrieve.indices", [index.name for index in study.retrieve.indices])
    _check_unique("retrieve.presets", [preset.name for preset in study.retrieve.presets])
    for path in ("ingest.pictures.sources", "ingest.text.sources", "evaluate.tasks"):
        _check_unique(path, named_plugins(study)[path])
    _check_training_pictures(study)
    _check_presets(study)
    _check_layers(study)
    _check_comparisons(study)
    for preset in study.retrieve.presets:
        _check_chunks(study, preset)
    _check_initial_vocabulary(study)
    _check_encoders_vocabulary(study)
    return study


def _check_layers(study: Study) -> None:
    """The trunk has the layer in which a fusion reads pictures."""
    layers = study.models.trunk.layers
    for variant in study.models.variants:
        layer = variant.fusion.params.get("layer_from_end", 1)
        if isinstance(layer, int) and layer > layers:
            raise ConfigError(
                f"{variant.name!r} reads pictures in layer {layer} from the end, the trunk has {layers}",
                where="models.variants[].fusion.params.layer_from_end",
                cure=f"name a layer from 1, the last, to {layers}",
            )


def _check_initial_vocabulary(study: Study) -> None:
    """Published weights know a published vocabulary."""
    start, kind = study.models.trunk.init_from, study.ingest.tokenizer.kind
    if start is not None and kind != "hub":
        raise ConfigError(
            f"the trunk starts from {start.checkpoint!r}, whose vocabulary is its own, the study's"
            f" is of the kind {kind!r}",
            where="models.trunk.init_from",
            cure=f"set ingest.tokenizer to {{kind: hub, checkpoint: {start.checkpoint}}}",
        )


def _check_encoders_vocabulary(study: Study) -> None:
    """An open_clip model reads CLIP's vocabulary; said before anything is embedded."""
    kind = study.ingest.tokenizer.kind
    if study.embed.encoder.name == "open_clip" and not kind.startswith("clip"):
        raise ConfigError(
            f"the encoder open_clip reads CLIP's vocabulary, the study's is of the kind {kind!r}",
            where="ingest.tokenizer.kind",
            cure="set it to clip or clip_fairseq, or choose another encoder",
        )


def _check_presets(study: Study) -> None:
    """Every variant reads the tables of a preset, and no more pictures than they hold."""
    retrieve = study.retrieve
    presets = [preset.name for preset in retrieve.presets]
    for variant in study.models.variants:
        if variant.preset is not None and variant.preset not in presets:
            raise ConfigError(
                f"{variant.name!r} reads the pictures of the preset {variant.preset!r},"
                " which is not in retrieve.presets",
                where="models.variants[].preset",
                cure=did_you_mean(variant.preset, presets),
            )
        if variant.pictures == TEXT_STATE and not retrieve.preset_named(variant.preset).text_states:
            raise ConfigError(
                f"{variant.name!r} reads text states, and its preset keeps none",
                where="models.variants[].pictures",
                cure="set retrieve.presets[].text_states to true, or choose another control",
            )
        if variant.top_k is not None and variant.top_k > retrieve.top_k:
            raise ConfigError(
                f"{variant.name!r} reads {variant.top_k} pictures a token,"
                f" retrieve.top_k finds {retrieve.top_k}",
                where="models.variants[].top_k",
                cure="lower it, or raise retrieve.top_k",
            )


def _check_chunks(study: Study, preset: Preset) -> None:
    """Chunks are cut at CLIP's punctuation, out of the language model's inputs."""
    query, kind = preset.query, study.ingest.tokenizer.kind
    if query.scheme != "chunks":
        return
    if not kind.startswith("clip"):
        raise ConfigError(
            f"the scheme 'chunks' cuts at CLIP's punctuation, the vocabulary is {kind!r}",
            where=f"retrieve.presets[{preset.name}].query.scheme",
            cure="set it to windows, or ingest.tokenizer.kind to clip or clip_fairseq",
        )
    context = study.models.trunk.context_tokens
    if query.sequence_tokens != context:
        raise ConfigError(
            f"inputs of {query.sequence_tokens} tokens are cut into chunks, the trunk reads {context}",
            where=f"retrieve.presets[{preset.name}].query.sequence_tokens",
            cure=f"set it to {context}, models.trunk.context_tokens",
        )


def _check_training_pictures(study: Study) -> None:
    """No model is trained on a thing's own pictures: only a task's questions name things."""
    for variant in study.models.variants:
        if variant.pictures == ORACLE:
            raise ConfigError(
                f"{variant.name!r} cannot be trained on the oracle's pictures",
                where="models.variants[].pictures",
                cure="name 'oracle' in evaluate.controls instead",
            )


def _check_comparisons(study: Study) -> None:
    """Every pair that is tested names models of the study, with controls that are evaluated."""
    variants = study.models.variants
    known = {variant.name for variant in variants}
    known |= {baseline.name for baseline in study.evaluate.baselines}
    known |= {
        f"{variant.name}:{control}"
        for variant in variants
        if variant.takes_controls
        for control in study.evaluate.controls
    }
    for pair in study.evaluate.statistics.comparisons:
        for name in pair:
            if name not in known:
                raise ConfigError(
                    f"{name!r} is no model, or model:control, of the study",
                    where="evaluate.statistics.comparisons",
                    cure=did_you_mean(name, known),
                )


def _check_unique(path: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"{name!r} is listed twice", where=path, cure="remove one of them")
        seen.add(name)
