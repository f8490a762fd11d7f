# What all rules share: the study, where its files lie, and what each job is handed.
import os
import shlex
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent / "src"))

from valm.cli.ablation import changes_of, parts_of
from valm.cli.needs import (
    FEATURE_NETWORK,
    check_source_params,
    compared_tasks,
    data_folder,
    given_files,
    optional_sources,
    planned_shards,
    plugin,
    reads_features,
    required_sources,
    side_by_side,
    text_sources,
)
from valm.cli.plugin_modules import plugin_modules
from valm.cli.registries import REGISTRIES
from valm.config.plugins import check_plugins
from valm.config.study import parse_study
from valm.config.verbs import ASIDE, aside_for, code_for, online_preset, section_for
from valm.core.digest import canonical_json
from valm.errors import ConfigError
from valm.ingest.raw.sources import source_named
from valm.retrieve.given import draws

PHASES = ("ingest", "embed", "retrieve", "train", "evaluate", "report")
RETRACTED = Path("config/retracted.tsv")  # what `valm retract` writes
CONFIG_FILES = " + ".join(str(file) for file in workflow.configfiles)


def read_study():
    """The study of Snakemake's merged config; a wrong one ends in one line, before any traceback."""
    try:
        study = check_plugins(parse_study(config, where=CONFIG_FILES), REGISTRIES)
        return check_source_params(study)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


STUDY = read_study()
PARTS = parts_of(STUDY, config)  # the studies of an ablation, by name; of another study none
PLANNED = planned_shards(STUDY)  # picture sources of which each shard is a job
SHOWN_PRESET = STUDY.retrieve.presets[0].name  # whose pictures of a few prompts are shown
os.environ.setdefault("VALM_PLAIN_PROGRESS", "1")  # jobs that run side by side share a terminal
os.environ[ASIDE] = canonical_json(aside_for(STUDY))  # not by params: it changes no result
if STUDY.ingest.mirror:
    # Not by params: where a verified file came from changes no result.
    os.environ.setdefault("VALM_MIRROR", STUDY.ingest.mirror)


pathvars:
    results=STUDY.results.as_posix(),
    benchmarks=f"{STUDY.results.as_posix()}/benchmarks",
    logs=f"logs/{STUDY.study}",


wildcard_constraints:
    source=r"[a-z0-9_]+",
    shard=r"\d{5}",
    index=r"[A-Za-z0-9_]+",
    preset=r"[a-z0-9_]+",
    split=r"train|valid|test",
    model=r"[a-z0-9_]+",
    baseline=r"[a-z0-9_]+",
    seed=r"\d+",
    task=r"[a-z0-9_]+",


def section(verb, **choices):
    """A params function: the configuration nodes that a verb reads, as JSON, for a job's wildcards."""
    return lambda wildcards: canonical_json(
        section_for(STUDY, verb, **choices, **dict(wildcards.items()))
    )


def code(verb):
    """A params function: the fingerprint of the code behind a verb and of a job's plug-ins."""

    def fingerprint(wildcards):
        choices = dict(wildcards.items())
        handed = section_for(STUDY, verb, **choices)
        return code_for(verb, *plugin_modules(verb, handed, choices, STUDY.embed.encoder.name))

    return fingerprint


def each(option, name):
    """A params function: the option once for each input file of a name, none if there is none."""

    def repeated(wildcards, input):
        files = input.get(name, [])
        files = [files] if isinstance(files, str) else files
        return " ".join(f"{option} {shlex.quote(str(file))}" for file in files)

    return repeated


def raw_manifests(registry, name):
    """The manifests of the raw files that a plug-in reads."""
    return [
        rules.fetch_source.output.manifest.format(source=source)
        for source in plugin(registry, name).raw
    ]


def shard_names(source):
    """Names of a planned source's shards."""
    return [f"{number:05d}" for number in range(PLANNED[source][0])]


def shard_inputs(wildcards):
    """The download of a shard, if there is one."""
    _, downloads = PLANNED[wildcards.source]
    if not downloads:
        return {}
    download = rules.download_pictures.output
    return {"downloaded": download.manifest, "downloaded_data": ancient(download.data)}


def phrases_to_remove():
    """The phrases of which training text is cleared, if it is."""
    if STUDY.ingest.text.decontaminate != "remove":
        return []
    return expand(rules.list_phrases.output.manifest, task=compared_tasks(STUDY))


def overlap_report():
    """What the training text shares with the evaluation sets, if a study asks."""
    return [rules.measure_overlap.output.manifest] if compared_tasks(STUDY) else []


def text_source_inputs(wildcards):
    """What a text source is made from: raw files, the picture list, or both."""
    inputs = {"raw": raw_manifests("ingest.text.sources", wildcards.source)}
    if plugin("ingest.text.sources", wildcards.source).needs_pictures:
        inputs["pictures"] = rules.list_pictures.output.manifest
    return inputs


def retracted_inputs(wildcards):
    """The list of pictures that have been taken down, once there is one."""
    return {"file": str(RETRACTED)} if RETRACTED.is_file() else {}


def retracted_if_drawn(*controls):
    """The pictures that have been taken down, for controls that show others than the retrieved ones."""
    if not any(draws(control) for control in controls):
        return {}
    return {
        "retracted": rules.list_retracted.output.manifest,
        "retracted_data": ancient(rules.list_retracted.output.data),
    }


def features_inputs(wildcards):
    """The picture features, for an encoder that reads them."""
    if not reads_features(STUDY):
        return {}
    return {
        "features": rules.extract_features.output.manifest,
        "features_data": ancient(rules.extract_features.output.data),
    }


def predictions(pattern):
    """One file of each model and task."""
    return expand(pattern, model=model_names(), task=task_names())


def baseline_predictions(pattern):
    """One file of each model of others and task."""
    return expand(pattern, baseline=baseline_names(), task=task_names())


def task_names():
    """All tasks of the study, the optional ones last."""
    return [*STUDY.evaluate.tasks, *STUDY.evaluate.optional_tasks]


def model_names():
    """All models of the study."""
    return [chosen.name for chosen in STUDY.models.variants]


def baseline_names():
    """All models of others that the study asks."""
    return [baseline.name for baseline in STUDY.evaluate.baselines]


def index_names():
    """All indices of the study."""
    return [index.name for index in STUDY.retrieve.indices]


def cached_presets():
    """The presets whose pictures lie in tables."""
    return [preset.name for preset in STUDY.retrieve.presets if preset.mode == "cached"]


def searched_index(pattern, preset=None):
    """The files of the index that a preset searches: a job's own, or the one that is named."""

    def files(wildcards):
        chosen = STUDY.retrieve.preset_named(preset or wildcards.preset)
        return expand(pattern, index=chosen.index)

    return files


def preset_of(wildcards):
    """The name of the preset whose pictures a model is given."""
    return STUDY.retrieve.preset_named(STUDY.models.named(wildcards.model).preset).name


def shown_models():
    """The models whose answers to a few prompts are shown: those without pictures, and those of the shown preset."""
    return [
        chosen.name
        for chosen in STUDY.models.variants
        if chosen.pictures == "none"
        or STUDY.retrieve.preset_named(chosen.preset).name == SHOWN_PRESET
    ]


def looking_models():
    """Of these, those that read retrieved pictures or none."""
    return [
        name
        for name in shown_models()
        if STUDY.models.named(name).takes_controls or STUDY.models.named(name).pictures == "none"
    ]


def picture_inputs(wildcards):
    """The pictures of every token, for a model that is given any."""
    control = STUDY.models.named(wildcards.model).pictures
    if control == "none":
        return {}
    neighbours, preset = rules.find_neighbours.output, preset_of(wildcards)
    vectors = retracted_if_drawn(control) | {
        "vectors": rules.embed_pictures.output.manifest,
        "vectors_data": ancient(rules.embed_pictures.output.data),
    }
    if online_preset(STUDY, wildcards.model):
        index = searched_index(rules.build_index.output.manifest, preset)(wildcards)
        data = searched_index(rules.build_index.output.data, preset)(wildcards)
        encoder = rules.make_encoder.output.manifest
        return vectors | {"encoder": encoder, "index": index, "index_data": ancient(data)}
    return vectors | {
        "neighbours_train": neighbours.manifest.format(preset=preset, split="train"),
        "neighbours_valid": neighbours.manifest.format(preset=preset, split="valid"),
        "neighbours_data": ancient(
            expand(neighbours.data, preset=preset, split=["train", "valid"])
        ),
    }


def shown_inputs(wildcards):
    """The pictures of a task's tokens, for a model that is given any."""
    variant = STUDY.models.named(wildcards.model)
    if variant.pictures == "none":
        return {}
    controls = STUDY.evaluate.controls if variant.takes_controls else []
    return retracted_if_drawn(variant.pictures, *controls) | {
        "pictures": expand(
            rules.illustrate_task.output.manifest,
            preset=preset_of(wildcards),
            task=wildcards.task,
        ),
        "vectors": rules.embed_pictures.output.manifest,
        "vectors_data": ancient(rules.embed_pictures.output.data),
    }


def made_by(phases):
    """What the targets of some phases ask for."""
    return [file for phase in phases for file in getattr(rules, phase).input]


def shown_by_notebook(wildcards):
    """What a notebook may read: the results of its phase and of those before."""
    phases = PHASES[:-1]
    if wildcards.chapter in phases:
        phases = phases[: phases.index(wildcards.chapter) + 1]
    return made_by(phases)


def notebook_names():
    """Number and chapter of every notebook ("01_ingest"), in their order."""
    return sorted(file.stem for file in Path("notebooks").glob("[0-9][0-9]_*.ipynb"))


def results_of_every_phase(wildcards):
    """All that a study makes; of one that changes one thing at a time, the page of all changes."""
    return rules.write_changes.output if PARTS else made_by(PHASES)
