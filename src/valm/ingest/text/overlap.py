"""``measure-overlap``: what the training text shares with the evaluation sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.progress import track
from valm.ingest.text.phrases import (
    WORDS_PER_PHRASE,
    TaskPhrases,
    all_phrases,
    known_phrases,
    phrase_hashes,
)
from valm.ingest.text.tokens import TokenStream
from valm.ingest.vocabulary.tokenizer import load_tokenizer

KIND, FILE = "overlap", "overlap.json"


def measure_overlap(
    job: Job, *, tokens: Path, tokenizer: Path, phrases: Sequence[Path], output: Path
) -> None:
    """Write ``overlap.json``: what the training text shares with each evaluation set.

    Args:
        tokens: Manifest of the token streams; the training split is read.
        tokenizer: Manifest of the tokenizer.
        phrases: Manifests of the evaluation sets' phrases.
        output: ``overlap.manifest.json``.
    """
    vocabulary, stream = load_tokenizer(tokenizer), TokenStream.open(tokens, "train")
    tasks = [TaskPhrases.open(manifest) for manifest in phrases]
    every = all_phrases(phrases)
    touched = [np.zeros(len(task.hashes), bool) for task in tasks]
    documents = np.zeros(len(tasks), np.int64)
    count = len(stream.documents) - 1
    for number in track(range(count), "looking for evaluation text", count, "documents"):
        ids = stream.tokens[stream.documents[number] : stream.documents[number + 1]]
        hashes = known_phrases(phrase_hashes(vocabulary.decode(ids.tolist())), every)
        for place, task in enumerate(tasks if len(hashes) else ()):
            shared = task.shared(hashes)
            touched[place][shared] = True
            documents[place] += len(shared) > 0
    rows: list[dict[str, Any]] = [
        {
            "task": task.task,
            "items": task.items,
            "phrases": len(task.hashes),
            "shared_phrases": int(touched[place].sum()),
            "touched_items": len(np.unique(task.owners[touched[place]])),
            "training_documents": int(documents[place]),
        }
        for place, task in enumerate(tasks)
    ]
    target = output.with_name(FILE)
    write_json(target, rows)
    facts = {"words_per_phrase": WORDS_PER_PHRASE, "training_documents": count}
    parents = [tokens, tokenizer, *phrases]
    job.finish(output, kind=KIND, rows=len(rows), files=[target], parents=parents, facts=facts)
