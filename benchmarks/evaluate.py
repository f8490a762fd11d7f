"""Time of an evaluation: ours beside lm-evaluation-harness with its Hugging Face backend.

Both ask the same GPT-2-shaped model, with the same random weights, about the same documents: colour
questions whose candidates are one token each, shape questions of which some candidates are several,
and passages. The harness is handed its requests ready-made and the batch size that is fastest for
it, so that only its model's work is timed; ours starts from the texts. Each is a process of its own,
and they take turns: while one evaluates, the other waits.

Prints one JSON line: the largest difference of any log-probability, the medians of the seconds that one
evaluation takes by kind of document, and the ratios of the medians, the harness's over ours. Seconds are
of processor time, of all threads of a side, so that others on the machine count little. Exits with 1
if the log-probabilities differ by more than 1e-4 of 1 or of their size.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

KINDS = ("colour", "shape", "passages")
BATCH_SIZES = (8, 32, 128)
TOLERANCE = 1e-4
OURS, THEIRS = "valm", "lm_eval"


@dataclass(frozen=True)
class Setting:
    """What both sides share."""

    layers: int
    width: int
    heads: int
    documents: int
    context: int = 128
    threads: int = 1


SHAPES = {
    "small": Setting(layers=4, width=192, heads=4, documents=270),
    "base": Setting(layers=12, width=768, heads=12, documents=135),
}


@dataclass(frozen=True)
class Documents:
    """Texts of one kind, with the candidates of questions; passages have none."""

    texts: list[str]
    choices: tuple[str, ...] = ()


def documents(setting: Setting) -> dict[str, Documents]:
    """The study's own questions, and passages of the statements that answer them."""
    from valm.evaluate.questions.definitions import TASKS, ChoiceTask
    from valm.evaluate.tasks.object_shape import LABELS

    questions = {}
    for name in ("colour", "shape"):
        task = TASKS.get(name)
        assert isinstance(task, ChoiceTask)
        asked = [q for q in task.questions({}) if q.answer >= 0]
        questions[name] = asked[: setting.documents]
        if name == "colour":
            told = [f"{q.text} {task.choices[q.answer]}." for q in asked[4::9]]
            passages = [" ".join(told[n : n + 2 + n % 7]) for n in range(setting.documents // 3)]
            colours = task.choices
    return {
        "colour": Documents([q.text for q in questions["colour"]], colours),
        "shape": Documents([q.text for q in questions["shape"]], LABELS),
        "passages": Documents(passages),
    }


def our_model(setting: Setting, vocabulary: int) -> Any:
    from valm.models.fusion import make_fusion
    from valm.models.initialise import initialise
    from valm.models.language_model import LanguageModel
    from valm.models.trunk import TrunkConfig

    sizes = (setting.layers, setting.width, setting.heads, setting.context)
    model = LanguageModel(
        TrunkConfig(*sizes, positions="learned"), make_fusion("none", {}), vocabulary
    )
    initialise(model, 1)
    return model.eval()


def as_gpt2(model: Any, setting: Setting, end_of_text: int) -> Any:
    """The same weights in ``GPT2LMHeadModel``; its input embeddings carry our sqrt(width)."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=setting.layers, n_embd=setting.width, n_head=setting.heads,
        n_positions=setting.context, vocab_size=len(model.output_embedding),
        activation_function="gelu", bos_token_id=end_of_text, eos_token_id=end_of_text,
        tie_word_embeddings=False,
    )  # fmt: skip
    theirs = GPT2LMHeadModel(config).eval()
    trunk, body = model.trunk, theirs.transformer
    pairs = [
        (body.wte.weight, trunk.embedding.weight * setting.width**0.5),
        (theirs.lm_head.weight, trunk.embedding.weight),
        (body.wpe.weight, trunk.positions.weight),
        (body.ln_f.weight, trunk.final_norm.weight),
        (body.ln_f.bias, trunk.final_norm.bias),
    ]
    for block, layer in zip(trunk.blocks, body.h, strict=True):
        for norm, their_norm in (
            (block.attention_norm, layer.ln_1),
            (block.feed_forward_norm, layer.ln_2),
        ):
            pairs += [(their_norm.weight, norm.weight), (their_norm.bias, norm.bias)]
        attention = block.attention
        for linear, theirs_linear in (
            (attention.query_key_value, layer.attn.c_attn), (attention.output, layer.attn.c_proj),
            (block.widen, layer.mlp.c_fc), (block.narrow, layer.mlp.c_proj),
        ):  # fmt: skip
            pairs += [(theirs_linear.weight, linear.weight.T), (theirs_linear.bias, linear.bias)]
    with torch.no_grad():
        for target, value in pairs:
            target.copy_(value)
    return theirs


Evaluation = Callable[[str], np.ndarray]  # log-probabilities of one kind of documents


def ours(setting: Setting) -> Evaluation:
    """As ``prepare-task`` and ``evaluate-model`` do it, from texts to log-probabilities."""
    import torch

    from valm.evaluate.answers.answering import Reader, choice_scores, passage_scores
    from valm.evaluate.questions.prepared import Requests
    from valm.ingest.vocabulary.clip import clip_bpe
    from valm.ingest.vocabulary.tokenizer import END_OF_TEXT, START_OF_TEXT, Tokenizer

    words = Tokenizer(clip_bpe(START_OF_TEXT, END_OF_TEXT), "clip", END_OF_TEXT)
    asked = documents(setting)
    reader = Reader(our_model(setting, words.vocabulary_size), None, torch.empty(0, 0))

    def evaluate(kind: str) -> np.ndarray:
        texts, choices = asked[kind].texts, asked[kind].choices
        ids = [words.encode(text) for text in texts]
        if choices:
            requests = Requests.of_questions(ids, [words.encode(choice) for choice in choices])
            return choice_scores(reader, requests, setting.context).wholes
        requests = Requests.of_passages([[words.end_of_text, *one] for one in ids])
        nats = passage_scores(reader, requests, setting.context, setting.context).nats
        return -np.add.reduceat(nats.astype(np.float64), requests.offsets[:-1])

    return evaluate


def theirs(setting: Setting) -> Evaluation:
    """``HFLM`` on ready-made requests, with the fastest batch size of each kind of documents."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM
    from transformers import PreTrainedTokenizerFast

    from valm.ingest.vocabulary.clip import clip_bpe
    from valm.ingest.vocabulary.tokenizer import END_OF_TEXT, START_OF_TEXT

    words = PreTrainedTokenizerFast(
        tokenizer_object=clip_bpe(START_OF_TEXT, END_OF_TEXT), bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT, pad_token=END_OF_TEXT,
    )  # fmt: skip
    model = as_gpt2(our_model(setting, len(words)), setting, words.eos_token_id)
    asked = documents(setting)
    backends = {
        size: HFLM(
            pretrained=model, tokenizer=words, batch_size=size, max_length=setting.context,
            device="cpu", add_bos_token=False,
        )
        for size in BATCH_SIZES
    }  # fmt: skip
    fastest: dict[str, Any] = {}

    def evaluate(kind: str) -> np.ndarray:
        if kind not in fastest:
            fastest[kind] = min(
                backends.values(), key=lambda backend: seconds_of(run, kind, backend)
            )
        return run(kind, fastest[kind])

    def run(kind: str, backend: Any) -> np.ndarray:
        one = asked[kind]
        if one.choices:
            pairs = [(text, f" {choice}") for text in one.texts for choice in one.choices]
            requests = [Instance("loglikelihood", {}, pair, n) for n, pair in enumerate(pairs)]
            found = backend.loglikelihood(requests, disable_tqdm=True)
            return np.array([score for score, _ in found]).reshape(len(one.texts), -1)
        requests = [
            Instance("loglikelihood_rolling", {}, (text,), n) for n, text in enumerate(one.texts)
        ]
        return np.array(backend.loglikelihood_rolling(requests, disable_tqdm=True))

    return evaluate


def seconds_of(run: Callable[..., Any], *arguments: Any) -> float:
    start = time.process_time()
    run(*arguments)
    return time.process_time() - start


SIDES: Mapping[str, Callable[[Setting], Evaluation]] = {OURS: ours, THEIRS: theirs}


def contestant(name: str, setting: Setting, line: Connection) -> None:
    """The process of one side: a kind of documents comes in, scores and seconds go out."""
    import torch

    torch.set_num_threads(setting.threads)
    evaluate = SIDES[name](setting)
    while True:
        kind = line.recv()
        start = time.process_time()
        scores = evaluate(kind)
        line.send((scores, time.process_time() - start))


def measure(
    setting: Setting, rounds: int
) -> tuple[dict[str, float], dict[str, dict[str, list[float]]]]:
    """Largest relative difference by kind, and all seconds by side and kind."""
    spawn = multiprocessing.get_context("spawn")
    lines, processes = {}, []
    seconds: dict[str, dict[str, list[float]]] = {name: {k: [] for k in KINDS} for name in SIDES}
    differences = {}
    try:
        for name in SIDES:
            lines[name], far_end = spawn.Pipe()
            process = spawn.Process(target=contestant, args=(name, setting, far_end), daemon=True)
            process.start()
            far_end.close()
            processes.append(process)
        for kind in KINDS:
            first = {}
            for name in SIDES:  # also the warm-up
                lines[name].send(kind)
                first[name], _ = lines[name].recv()
            sizes = np.maximum(1, np.abs(first[THEIRS]))
            differences[kind] = float((np.abs(first[OURS] - first[THEIRS]) / sizes).max())
            for turn in range(rounds):
                for name in list(SIDES) if turn % 2 == 0 else list(SIDES)[::-1]:
                    lines[name].send(kind)
                    seconds[name][kind].append(lines[name].recv()[1])
    finally:
        for process in processes:
            process.kill()
    return differences, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    setting = SHAPES[options.shape]
    os.environ["TQDM_DISABLE"] = "1"
    differences, seconds = measure(setting, options.rounds)
    medians = {
        name: {kind: statistics.median(times) for kind, times in by_kind.items()}
        for name, by_kind in seconds.items()
    }
    totals = {name: sum(by_kind.values()) for name, by_kind in medians.items()}
    result = {
        "setting": asdict(setting),
        "rounds": options.rounds,
        "largest_difference": {kind: float(f"{d:.1e}") for kind, d in differences.items()},
        "seconds": {n: {k: round(s, 3) for k, s in by.items()} for n, by in medians.items()},
        "ratio": {k: round(medians[THEIRS][k] / medians[OURS][k], 2) for k in KINDS},
        "ratio_of_all": round(totals[THEIRS] / totals[OURS], 2),
    }
    print(json.dumps(result))
    if max(differences.values()) > TOLERANCE:
        sys.exit("the two sides disagree")


if __name__ == "__main__":
    main()
