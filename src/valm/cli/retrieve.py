"""Verbs of retrieve: indices, their recall, the pictures of every token and of some prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, Code, ConfigFiles, Log, Section, Threads, open_job

Output = Annotated[Path, typer.Option(help="Manifest to write.")]
Vectors = Annotated[Path, typer.Option(help="Manifest of the picture vectors.")]
Encoder = Annotated[Path, typer.Option(help="Manifest of the encoder.")]
Tokens = Annotated[Path, typer.Option(help="Manifest of the token streams.")]
PresetName = Annotated[str, typer.Option(help="Name of the preset in retrieve.presets.")]
SearchedIndex = Annotated[Path, typer.Option(help="Manifest of the index that is searched.")]


def build_index(
    vectors: Vectors,
    index: Annotated[str, typer.Option(help="Name of the index in retrieve.indices.")],
    output: Output,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Build one faiss index of the picture keys."""
    job = open_job(
        "build-index",
        section=section,
        config=config,
        code=code,
        threads=threads,
        log=log,
        index=index,
    )
    from valm.retrieve.index import build_index as run

    run(job, vectors=vectors, index=index, output=output)


def measure_recall(
    vectors: Vectors,
    indices: Annotated[list[Path], typer.Option(help="Manifests of the indices.")],
    encoder: Encoder,
    tokens: Tokens,
    output: Output,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Measure each index against exact search; fail below a recall floor."""
    job = open_job(
        "measure-recall",
        section=section,
        config=config,
        code=code,
        threads=threads,
        log=log,
        encoder=encoder,
    )
    from valm.retrieve.recall import measure_recall as run

    run(job, vectors=vectors, indices=indices, encoder=encoder, tokens=tokens, output=output)


def find_neighbours(
    preset: PresetName,
    split: Annotated[str, typer.Option(help="train, valid or test.")],
    tokens: Tokens,
    encoder: Encoder,
    vectors: Vectors,
    index: SearchedIndex,
    output: Output,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """Find the K nearest pictures of every token of a split."""
    job = open_job(
        "find-neighbours",
        section=section,
        config=config,
        code=code,
        threads=threads,
        log=log,
        encoder=encoder,
        preset=preset,
        split=split,
    )
    from valm.retrieve.neighbours import find_neighbours as run

    run(
        job,
        split=split,
        tokens=tokens,
        encoder=encoder,
        vectors=vectors,
        index=index,
        output=output,
    )


def show_pictures(
    tokenizer: Annotated[Path, typer.Option(help="Manifest of the tokenizer.")],
    encoder: Encoder,
    vectors: Vectors,
    index: SearchedIndex,
    output: Output,
    preset: Annotated[
        str | None,
        typer.Option(help="Name of the preset in retrieve.presets; by default the first."),
    ] = None,
    prompt: Annotated[
        list[str] | None, typer.Option(help="A text, in place of report.prompts.")
    ] = None,
    section: Section = "",
    config: ConfigFiles = DEFAULT_CONFIG,
    code: Code = "",
    threads: Threads = 1,
    log: Log = None,
) -> None:
    """List the pictures that each token of some prompts retrieves."""
    job = open_job(
        "show-pictures",
        section=section,
        config=config,
        code=code,
        threads=threads,
        log=log,
        encoder=encoder,
        prompts="\n".join(prompt or []),
        **({} if preset is None else {"preset": preset}),
    )
    from valm.retrieve.explain import show_pictures as run

    run(
        job,
        prompts=prompt or [],
        tokenizer=tokenizer,
        encoder=encoder,
        vectors=vectors,
        index=index,
        output=output,
    )


def add_to(app: typer.Typer) -> None:
    """Register the verbs of this phase."""
    app.command("build-index")(build_index)
    app.command("measure-recall")(measure_recall)
    app.command("find-neighbours")(find_neighbours)
    app.command("show-pictures")(show_pictures)
