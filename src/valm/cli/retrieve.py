"""Verbs of retrieve: indices, their recall, the pictures of every token and of some prompts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from valm.cli.job_options import JobOptions, add_verb, numbered_part
from valm.core.digest import digest_data
from valm.core.fingerprint import module_digests

Output = Annotated[Path, typer.Option(help="Manifest to write.")]
Vectors = Annotated[Path, typer.Option(help="Manifest of the picture vectors.")]
Encoder = Annotated[Path, typer.Option(help="Manifest of the encoder.")]
Tokens = Annotated[Path, typer.Option(help="Manifest of the token streams.")]
Retracted = Annotated[Path | None, typer.Option(help="Manifest of the retracted pictures.")]
PresetName = Annotated[str, typer.Option(help="Name of the preset in retrieve.presets.")]
SearchedIndex = Annotated[Path, typer.Option(help="Manifest of the index that is searched.")]


def build_index(
    options: JobOptions,
    vectors: Vectors,
    index: Annotated[str, typer.Option(help="Name of the index in retrieve.indices.")],
    output: Output,
    retracted: Retracted = None,
    part: Annotated[
        str,
        typer.Option(
            help="i/n: add the i-th of n shares of the pictures, beside n - 1 others; the first trains,"
            " the last joins them on disk."
        ),
    ] = "",
) -> None:
    """Build one faiss index of the picture keys, whole or by parts."""
    job = options.open_job(index=index)
    if not part:
        from valm.retrieve.index import build_index as run

        run(job, vectors=vectors, index=index, output=output, retracted=retracted)
        return
    taken = numbered_part(part)
    from valm.retrieve.index_parts import build_part

    modules = module_digests(["valm.retrieve.index_parts"])
    job = replace(job, code=digest_data(modules), modules=modules)
    build_part(job, vectors=vectors, index=index, output=output, part=taken, retracted=retracted)


def measure_recall(
    options: JobOptions,
    vectors: Vectors,
    indices: Annotated[list[Path], typer.Option(help="Manifests of the indices.")],
    encoder: Encoder,
    tokens: Tokens,
    output: Output,
    retracted: Retracted = None,
) -> None:
    """Measure each index against exact search; fail below a recall floor."""
    job = options.open_job(encoder=encoder)
    from valm.retrieve.recall import measure_recall as run

    run(
        job, vectors=vectors, indices=indices, encoder=encoder, tokens=tokens, output=output,
        retracted=retracted,
    )  # fmt: skip


def find_neighbours(
    options: JobOptions,
    preset: PresetName,
    split: Annotated[str, typer.Option(help="train, valid or test.")],
    tokens: Tokens,
    encoder: Encoder,
    vectors: Vectors,
    index: SearchedIndex,
    output: Output,
) -> None:
    """Find the K nearest pictures of every token of a split."""
    job = options.open_job(encoder=encoder, preset=preset, split=split)
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
    options: JobOptions,
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
) -> None:
    """List the pictures that each token of some prompts retrieves."""
    job = options.open_job(
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
    add_verb(app, build_index)
    add_verb(app, measure_recall)
    add_verb(app, find_neighbours)
    add_verb(app, show_pictures)
