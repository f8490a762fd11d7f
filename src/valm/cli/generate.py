"""Texts that a model of a finished study goes on with: ``valm generate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, ConfigFiles, Log
from valm.cli.registries import checked_study
from valm.core.logs import configure_logs
from valm.errors import InputError


def generate(
    prompts: Annotated[list[str] | None, typer.Argument(help="Texts to go on with.")] = None,
    file: Annotated[Path | None, typer.Option(help="File of more prompts, one a line.")] = None,
    model: Annotated[str, typer.Option(help="Name of the variant.")] = "valm",
    seed: Annotated[
        int | None, typer.Option(help="Seed of the model; by default the study's first.")
    ] = None,
    control: Annotated[
        str, typer.Option(help="Pictures that it is given: its own, or a control of the study.")
    ] = "own",
    tokens: Annotated[int, typer.Option(help="Tokens that follow, at most.", min=1)] = 20,
    temperature: Annotated[
        float, typer.Option(help="0: the likeliest token; 1: as the model says.", min=0)
    ] = 0.0,
    top_k: Annotated[
        int | None, typer.Option(help="Draw from so many of the likeliest tokens only.", min=1)
    ] = None,
    sampling_seed: Annotated[int, typer.Option(help="Seed of what is drawn.")] = 0,
    show_pictures: Annotated[
        bool, typer.Option("--show-pictures", help="Say which pictures each token looked at.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON for each prompt.")
    ] = False,
    config: ConfigFiles = DEFAULT_CONFIG,
    log: Log = None,
) -> None:
    """Go on with texts, retrieving pictures for every token."""
    configure_logs(log)
    from valm.models.sampling import Sampling
    from valm.serve.generated_text import as_data, as_lines
    from valm.serve.generation import generate as run
    from valm.serve.open_study import OpenStudy

    texts = [*(prompts or []), *(_lines(file) if file else [])]
    if not texts:
        raise InputError("there is no prompt", cure="give one, or a file of them (--file)")
    study = OpenStudy.with_model(checked_study(config), model, seed)
    voice = study.voice(model, control)
    for text in texts:
        made = run(study, voice, text, tokens, Sampling(temperature, top_k), sampling_seed)
        data = {"prompt": text} | as_data(study, voice, made, pictures=show_pictures)
        for line in [json.dumps(data, ensure_ascii=False)] if as_json else as_lines(data):
            print(line)


def _lines(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the prompts: {error}", where=file) from error
    return [line for line in lines if line.strip()]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("generate")(generate)
