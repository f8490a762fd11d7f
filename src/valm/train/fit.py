"""``train-model``: one variant with one seed, from token streams and neighbours to a model."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch

from valm.config.models import Trunk, Variant
from valm.config.train import Train
from valm.core.atomic import require_writable, write_text
from valm.core.job import Job
from valm.core.logs import logger
from valm.errors import ConfigError
from valm.models.fusion import Fusion, make_fusion
from valm.models.initialise import initialise
from valm.models.language_model import LanguageModel
from valm.models.trunk import TrunkConfig
from valm.train.checkpoint import CHECKPOINTS
from valm.train.initial_weights import start_from
from valm.train.inputs import TRAIN, VALID, PictureFiles, open_inputs
from valm.train.loop import run_training
from valm.train.memory import keep_freed_memory
from valm.train.metrics import HISTORY
from valm.train.processes import this_process
from valm.train.resumption import checkpoint_to_go_on_from, record_of, tell_of_unfinished
from valm.train.saved_model import KIND, save_model
from valm.train.training import Training


def train_model(
    job: Job,
    *,
    model: str,
    seed: int,
    tokens: Path,
    pictures: PictureFiles | None,
    output: Path,
    curves: Path | None = None,
    resume_from: Path | None = None,
) -> None:
    """Train a variant, from the newest checkpoint of a killed run if there is one.

    Args:
        model: Name of the variant.
        seed: The model's seed: its initial values, the order of its batches, its dropout.
        tokens: Manifest of the token streams.
        pictures: Neighbours and vectors; None for a variant that reads no pictures.
        output: ``model.manifest.json``.
        curves: Folder for what shows the history while it grows; None: the work folder.
        resume_from: Another work folder, whose newest checkpoint is gone on from if it is newer.

    Raises:
        InputError: Nothing can be written beside ``output`` or in the work folder.
        ResumeError: What ``resume_from`` holds was made under other keys, code or inputs.
        SourceError: The checkpoint that it is to start from cannot be had.
        IntegrityError: That checkpoint's weights are others than those stated.
        ConfigError: The variant reads pictures and none were named, that checkpoint's sizes are not
            the model's, or there are not the devices or processes that the configuration states.
        SystemExit: With 143, after SIGTERM and a checkpoint.
    """
    require_writable(output.parent)
    torch.set_num_threads(job.threads)
    keep_freed_memory()
    settings = job.settings("train", Train)
    (variant,) = job.value("models.variants", list[Variant])
    fusion = make_fusion(variant.fusion.name, variant.fusion.params)
    pictures = _pictures_of(variant, fusion, pictures)
    parents = [tokens, *(pictures.parents if pictures else [])]
    trunk_settings = job.settings("models.trunk", Trunk)
    trunk = TrunkConfig(**trunk_settings.model_dump(exclude={"init_from"}))
    dtype = getattr(torch, settings.precision)
    context = trunk.context_tokens
    validated = max(1, settings.validation_tokens // context)
    inputs = open_inputs(variant, context, validated, dtype, job.seed, tokens, pictures)
    sizes = (trunk, fusion, inputs.vocabulary_size, inputs.value_width, variant.objective)
    language_model = LanguageModel(*sizes)
    initialise(language_model, seed)
    start = trunk_settings.init_from
    if start is not None:
        start_from(language_model, start)
    training = Training(
        language_model,
        settings,
        seed,
        inputs.blocks[TRAIN],
        inputs.blocks[VALID],
        variant.image_mask_probability,
    )
    process = this_process(settings.devices)
    with job.work(parents, helps=not process.leads) as work:
        now = record_of(job.note(parents))
        if process.leads:
            tell_of_unfinished(work, now)
        checkpoint = checkpoint_to_go_on_from(work, resume_from, now)
        what = f"training {model}, seed {seed}"
        valid_loss = run_training(training, what, work, curves or work, process, checkpoint)
        if not process.leads:
            return
        if training.gathered is not None:
            language_model = LanguageModel(*sizes)
            language_model.load_state_dict(training.gathered)
        facts = {
            "variant": model,
            "seed": seed,
            "pictures": variant.pictures,
            "top_k": variant.top_k,
            "objective": variant.objective,
            "init_from": None if start is None else start.model_dump(mode="json"),
            "steps": settings.steps,
            "tokens_seen": settings.steps * settings.sequences_per_step * trunk.context_tokens,
            "valid_loss": valid_loss,
        }
        files = save_model(output.parent, language_model, facts)
        write_text(output.parent / HISTORY, (work / HISTORY).read_text(encoding="utf-8"))
        rows = language_model.parameter_count
        job.finish(output, kind=KIND, rows=rows, files=files, parents=parents, facts=facts)
        shutil.rmtree(
            work / CHECKPOINTS, ignore_errors=True
        )  # none, if another folder's was the last
    logger.info("%s, seed %s: validation loss %.4f", model, seed, valid_loss)


def _pictures_of(
    variant: Variant, fusion: Fusion, pictures: PictureFiles | None
) -> PictureFiles | None:
    """The pictures, if the variant's fusion looks at any."""
    if not fusion.reads_pictures:
        return None
    if pictures is None:
        raise ConfigError(
            f"the fusion {fusion.name!r} of {variant.name!r} reads pictures, but none were named",
            cure="set its pictures to a control, and give --vectors, --neighbours-train and "
            "--neighbours-valid, or --encoder and --index",
        )
    return pictures
