"""``prepare-task``: a task's texts become tokens, the same for every model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.errors import ConfigError
from valm.evaluate.definitions import TASKS, ChoiceTask, Task, TextTask
from valm.evaluate.prepared import KIND, MEASURED, UNAVAILABLE, Requests, write_requests
from valm.ingest.sources import raw_path
from valm.ingest.tokenizer import Tokenizer, load_tokenizer
from valm.ingest.tokens import TokenStream


def prepare_task(
    job: Job,
    *,
    task: str,
    raw: Sequence[Path],
    tokenizer: Path,
    tokens: Path,
    output: Path,
) -> None:
    """Write a task's requests; a task whose data cannot be had is recorded as unavailable.

    Args:
        task: Name of the task.
        raw: Manifests of the raw files that it reads.
        tokenizer: Manifest of the tokenizer.
        tokens: Manifest of the token streams; the test split is read.
        output: ``<task>.manifest.json``.

    Raises:
        ConfigError: An answer is not one token of the vocabulary.
    """
    plugin = TASKS.get(task)
    parents = [*raw, tokenizer, tokens]
    files, reason = _raw_files(raw)
    facts: dict[str, Any] = {
        "task": task,
        "status": UNAVAILABLE if reason else MEASURED,
        "note": reason,
        "licence": plugin.licence,
        "definitions": [asdict(definition) for definition in plugin.definitions],
    }
    if reason:
        logger.warning("the task %s is unavailable: %s", task, reason)
        job.finish(output, kind=KIND, rows=0, files=[], parents=parents, facts=facts)
        return
    words = load_tokenizer(tokenizer)
    texts, items = _texts(plugin, files, words, TokenStream.open(tokens, "test"))
    choices = plugin.choices if isinstance(plugin, ChoiceTask) else ()
    requests = Requests(
        tokens=np.concatenate([np.array(text, dtype=np.int64) for text in texts]),
        offsets=np.cumsum([0, *map(len, texts)]),
        choices=np.array([_one_token(words, choice) for choice in choices], dtype=np.int64),
    )
    written = write_requests(output, requests, items)
    facts |= {"choices": list(choices), "tokens": len(requests.tokens)}
    job.finish(output, kind=KIND, rows=len(texts), files=written, parents=parents, facts=facts)


def _raw_files(manifests: Sequence[Path]) -> tuple[dict[str, Path], str | None]:
    """The raw files by name, and why one of them is missing."""
    files: dict[str, Path] = {}
    for manifest in manifests:
        path = raw_path(manifest)
        if path is None:
            return {}, str(read_manifest(manifest).facts["reason"])
        files[manifest.name.removesuffix(".manifest.json")] = path
    return files, None


def _texts(
    plugin: Task, files: Mapping[str, Path], words: Tokenizer, test: TokenStream
) -> tuple[list[list[int]], list[dict[str, Any]]]:
    """Token ids of every text, and a row about each."""
    texts: list[list[int]] = []
    items: list[dict[str, Any]] = []
    if isinstance(plugin, ChoiceTask):
        for question in plugin.questions(files):
            texts.append(words.encode(question.text))
            row = asdict(question)
            del row["text"]
            items.append(row)
    elif isinstance(plugin, TextTask):
        for passage in plugin.passages(files, test, words.decode):
            ids = words.encode(passage.text)
            last = words.encode(passage.text.split()[-1])
            # As in the training stream, a text stands between two ends of text.
            texts.append([words.end_of_text, *ids, words.end_of_text])
            items.append(
                {
                    "item": passage.item,
                    "part": passage.part,
                    "words": len(passage.text.split()),
                    "last_word_tokens": min(len(last), len(ids)),
                }
            )
    return texts, items


def _one_token(words: Tokenizer, answer: str) -> int:
    ids = words.encode(answer)
    if len(ids) != 1:
        raise ConfigError(
            f"the answer {answer!r} is {len(ids)} tokens of this vocabulary",
            where="ingest.tokenizer",
            cure="a trained vocabulary holds every answer as one token: use kind 'bpe'",
        )
    return ids[0]
