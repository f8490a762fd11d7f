"""``prepare-task``: a task's texts become tokens, the same for every model."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.errors import ConfigError, InputError
from valm.evaluate.questions.definitions import TASKS, ChoiceTask, Passage, Question, Task, TextTask
from valm.evaluate.questions.labelled_text_task import LabelledTextTask
from valm.evaluate.questions.prepared import (
    KIND,
    MEASURED,
    TEXT,
    UNAVAILABLE,
    Requests,
    write_requests,
)
from valm.ingest.raw.sources import raw_path
from valm.ingest.text.tokens import TokenStream
from valm.ingest.vocabulary.tokenizer import Tokenizer, load_tokenizer

Asked = TypeVar("Asked", Question, Passage)
Texts = tuple[Requests, list[dict[str, Any]]]  # with a row about each question or passage


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
        InputError: A raw file is malformed, or an answer has no tokens.
        ConfigError: ``evaluate.words`` names a task that is not about texts.
    """
    plugin = _reading(TASKS.get(task), task, job.value("evaluate.words", dict[str, int | None]))
    parents = [*raw, tokenizer, tokens]
    files, reason = raw_files(raw)
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
    sample = job.value("evaluate.samples", dict[str, int | None]).get(task, plugin.sample)
    requests, items = _texts(plugin, files, words, TokenStream.open(tokens, "test"), sample)
    written = write_requests(output, requests, items)
    facts |= {
        "choices": list(plugin.choices) if isinstance(plugin, ChoiceTask) else [],
        "tokens": len(requests.tokens),
        "vocabulary_size": words.vocabulary_size,
        "items": len({row["item"] for row in items} - {""}),
    }
    job.finish(output, kind=KIND, rows=len(requests), files=written, parents=parents, facts=facts)


def _reading(plugin: Task, name: str, words: Mapping[str, int | None]) -> Task:
    """A task that reads as many words of each text as the study says."""
    if name not in words:
        return plugin
    if not isinstance(plugin, LabelledTextTask):
        what = f"the task {name} has no texts of which it could read the first words"
        raise ConfigError(what, where="evaluate.words", cure=f"take {name} out")
    return plugin.reading(words[name])


def raw_files(manifests: Sequence[Path]) -> tuple[dict[str, Path], str | None]:
    """The raw files by name, and why one of them is missing."""
    files: dict[str, Path] = {}
    for manifest in manifests:
        path = raw_path(manifest)
        if path is None:
            return {}, str(read_manifest(manifest).facts["reason"])
        files[manifest.name.removesuffix(".manifest.json")] = path
    return files, None


def _texts(
    plugin: Task,
    files: Mapping[str, Path],
    words: Tokenizer,
    test: TokenStream,
    sample: int | None,
) -> Texts:
    """The tokens of a sample of a task's items."""
    if isinstance(plugin, ChoiceTask):
        return _questions(plugin, first_items(plugin.questions(files), sample), words)
    assert isinstance(plugin, TextTask)
    return _passages(first_items(plugin.passages(files, test, words.decode), sample), words)


def first_items(asked: Iterable[Asked], items: int | None) -> Iterator[Asked]:
    """Everything about the first so many items, and what is about none."""
    seen: set[str] = set()
    for one in asked:
        if one.item and one.item not in seen:
            if len(seen) == items:
                return
            seen.add(one.item)
        yield one


def _questions(plugin: ChoiceTask, asked: Iterable[Question], words: Tokenizer) -> Texts:
    questions = list(asked)
    choices = [_pieces(words, choice, where=_where(plugin)) for choice in plugin.choices]
    ids = [words.encode(question.text) for question in questions]
    return Requests.of_questions(ids, choices), [asdict(question) for question in questions]


def _where(plugin: ChoiceTask) -> str:
    """File and line of a task, for errors that are its own."""
    kind = type(plugin)
    return f"{inspect.getsourcefile(kind)}:{inspect.getsourcelines(kind)[1]}"


def _passages(asked: Iterable[Passage], words: Tokenizer) -> Texts:
    texts: list[list[int]] = []
    items: list[dict[str, Any]] = []
    came_with: list[tuple[int, int]] = []
    for passage in asked:
        ids = words.encode(passage.text)
        last = words.encode(passage.text.split()[-1])
        # As in the training stream, a text stands between two ends of text.
        came_with += [(len(texts), picture) for picture in passage.pictures]
        texts.append([words.end_of_text, *ids, words.end_of_text])
        items.append(
            {
                "item": passage.item,
                TEXT: passage.text,
                "part": passage.part,
                "words": passage.words or len(passage.text.split()),
                "last_word_tokens": min(len(last), len(ids)),
            }
        )
    return Requests.of_passages(texts, came_with), items


def _pieces(words: Tokenizer, answer: str, where: str) -> list[int]:
    ids = words.encode(answer)
    if not ids:
        raise InputError(
            f"the answer {answer!r} has no tokens in this vocabulary",
            where=where,
            cure="mend the task's choices, or use another vocabulary",
        )
    return ids
