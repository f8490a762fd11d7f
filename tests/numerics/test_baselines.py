"""Models of others answer as transformers does, question by question, and as one computes by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import transformers
from builders import checkpoints
from builders.evaluation import TinyStudy

from valm.core.hub import digest_of_weights
from valm.core.manifest import read_manifest
from valm.errors import InputError, IntegrityError, SourceError
from valm.evaluate.answers import reading
from valm.evaluate.answers.baseline import BASELINES, AskedTexts, Baseline
from valm.evaluate.answers.checkpoint import Checkpoint
from valm.evaluate.baselines import clip_text, masked_lm
from valm.evaluate.questions.definitions import TASKS
from valm.evaluate.scores.metrics import full_label, raw
from valm.evaluate.scores.published import published
from valm.evaluate.scores.score import score_models

PERPLEXITIES = [{"part": "", "scorer": name} for name in ("token_perplexity", "word_perplexity")]
CHOICES = ("red", "green", "purple")
TEXTS = (
    "What is the color of a plum?",
    "The color of a frog is",
    "a tomato usually has the color of",
)


def asked(texts: tuple[str, ...] = TEXTS, choices: tuple[str, ...] = CHOICES) -> AskedTexts:
    rows = [
        {"item": f"thing {n}", "prompt": "p", "part": "", "answer": answer, "things": [], "seed": 0}
        for n, answer in zip(range(len(texts)), (2, 1, 0), strict=False)
    ]
    return AskedTexts(texts, pl.DataFrame(rows), choices)


def columns(table: pl.DataFrame, name: str, choices: int = len(CHOICES)) -> Any:
    return table.select([f"{name}_{n}" for n in range(choices)]).to_numpy()


def read(folder: Path, family: str) -> tuple[Any, Any]:
    words = transformers.AutoTokenizer.from_pretrained(folder)
    return getattr(transformers, family).from_pretrained(folder).eval(), words


def as_biases(folder: Path, shares: dict[str, float]) -> None:
    """Make a BERT that says the same at every mask: its logits are the logarithms of shares."""
    model, words = read(folder, "BertForMaskedLM")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.cls.predictions.bias.fill_(-1e4)
        for entry, share in shares.items():
            model.cls.predictions.bias[words.convert_tokens_to_ids(entry)] = float(np.log(share))
    model.save_pretrained(folder)


def test_three_items_of_a_masked_model_by_hand(tmp_path: Path) -> None:
    """ "purple" is the two sub-words p ##urple here: alone likelier than red, as a whole less."""
    folder = checkpoints.bert(tmp_path, ["red", "green", "##urple"])
    as_biases(folder, {"red": 0.3, "green": 0.2, "p": 0.4, "##urple": 0.1})
    table = BASELINES.get("masked_lm").answers(Checkpoint(str(folder)), asked())
    whole = (np.log(0.4) + np.log(0.1)) / 2
    np.testing.assert_allclose(
        columns(table, "first_piece"), np.log([[0.3, 0.2, 0.4]] * 3), rtol=1e-5
    )
    expected = [[np.log(0.3), np.log(0.2), whole]] * 3
    np.testing.assert_allclose(columns(table, "choice"), expected, rtol=1e-5)
    # It always says "p...": right for the plum; by whole words it always says red: for the tomato.
    assert raw(table, "")[0].value == full_label(table, "")[0].value == pytest.approx(1 / 3)
    assert columns(table, "first_piece").argmax(1).tolist() == [2, 2, 2]
    assert columns(table, "choice").argmax(1).tolist() == [0, 0, 0]


def test_three_items_of_a_causal_model_by_hand(tmp_path: Path) -> None:
    """All states equal one vector, so that every next token has the same known share."""
    folder = checkpoints.gpt2(tmp_path)
    model, words = read(folder, "GPT2LMHeadModel")
    pieces = [words.encode(f" {choice}") for choice in CHOICES]
    assert len({ids[0] for ids in pieces}) == len(CHOICES)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.transformer.ln_f.bias[0] = 1
        model.transformer.wte.weight[:, 0] = -1e4
        shares = dict.fromkeys({token for ids in pieces for token in ids}, 0.1)
        shares |= {pieces[0][0]: 0.2, pieces[1][0]: 0.3}
        rest = 1 - sum(shares.values())
        shares |= {words.eos_token_id: rest}
        for token, share in shares.items():
            model.transformer.wte.weight[token, 0] = float(np.log(share))
    model.save_pretrained(folder)
    table = BASELINES.get("causal_lm").answers(Checkpoint(str(folder)), asked())
    wholes = [[sum(np.log(shares[token]) for token in ids) for ids in pieces]] * 3
    np.testing.assert_allclose(columns(table, "choice"), wholes, rtol=1e-4)
    assert raw(table, "")[0].value == pytest.approx(1 / 3)  # always green


@pytest.mark.parametrize("family", ["Bert", "VisualBert", "Electra"])
def test_masked_models_answer_as_transformers_does_text_by_text(
    tmp_path: Path, family: str
) -> None:
    kind = "visual_bert" if family == "VisualBert" else "masked_lm"
    folder = checkpoints.bert(tmp_path, ["red", "green", "pur", "##ple"], family)
    table = BASELINES.get(kind).answers(Checkpoint(str(folder)), asked())
    full = f"{family}ForPreTraining" if kind == "visual_bert" else f"{family}ForMaskedLM"
    model, words = read(folder, full)

    def share(text: str, place: int, token: str) -> float:
        inputs = words(text, return_tensors="pt")
        with torch.inference_mode():
            found = model(**inputs)
        logits = found.logits if kind == "masked_lm" else found.prediction_logits
        scores = logits[0, place].log_softmax(-1)
        return float(scores[words.convert_tokens_to_ids(token)])

    for row, text in enumerate(TEXTS):
        mask = words(f"{text} [MASK].")["input_ids"].index(words.mask_token_id)
        firsts = [share(f"{text} [MASK].", mask, token) for token in ("red", "green", "pur")]
        # The tokenizer joins "pur" and the rest only without a mask between: ids are set by hand.
        ids = words(f"{text} [MASK] [MASK].", return_tensors="pt")["input_ids"]
        both = []
        for place, given, token in ((mask, "##ple", "pur"), (mask + 1, "pur", "##ple")):
            filled = ids.clone()
            filled[0, 2 * mask + 1 - place] = words.convert_tokens_to_ids(given)
            with torch.inference_mode():
                found = model(input_ids=filled)
            logits = found.logits if kind == "masked_lm" else found.prediction_logits
            both.append(float(logits[0, place].log_softmax(-1)[words.convert_tokens_to_ids(token)]))
        np.testing.assert_allclose(columns(table, "first_piece")[row], firsts, atol=1e-5)
        expected = [firsts[0], firsts[1], np.mean(both)]
        np.testing.assert_allclose(columns(table, "choice")[row], expected, atol=1e-5)


@pytest.mark.parametrize("family", ["GPT2LMHeadModel", "OPTForCausalLM"])
def test_a_causal_model_answers_as_transformers_does_text_by_text(
    tmp_path: Path, family: str
) -> None:
    folder = (checkpoints.opt if family.startswith("OPT") else checkpoints.gpt2)(tmp_path)
    table = BASELINES.get("causal_lm").answers(Checkpoint(str(folder)), asked())
    model, words = read(folder, family)
    for row, text in enumerate(TEXTS):
        for place, choice in enumerate(CHOICES):
            prompt, answer = words.encode(text), words.encode(f" {choice}")
            with torch.inference_mode():
                scores = model(torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
            each = [float(scores[len(prompt) - 1 + n, token]) for n, token in enumerate(answer)]
            assert table[f"choice_{place}"][row] == pytest.approx(sum(each), abs=1e-4)
            if "first_piece_0" in table.columns:
                assert table[f"first_piece_{place}"][row] == pytest.approx(each[0], abs=1e-5)


def test_a_passage_costs_what_transformers_says_it_costs(tmp_path: Path) -> None:
    folder = checkpoints.gpt2(tmp_path, n_positions=64)
    texts = ("a plum is purple", "the lemon is yellow and the box is square")
    rows = [{"item": str(n), "part": "", "words": len(t.split()), "last_word_tokens": 99}
            for n, t in enumerate(texts)]  # fmt: skip
    table = BASELINES.get("causal_lm").answers(
        Checkpoint(str(folder)), AskedTexts(texts, pl.DataFrame(rows), (), PERPLEXITIES)
    )
    model, words = read(folder, "GPT2LMHeadModel")
    for text, row in zip(texts, table.filter(context="alone").to_dicts(), strict=True):
        ids = torch.tensor([[0, *words.encode(text), 0]])
        with torch.inference_mode():
            loss = model(ids, labels=ids).loss
        assert row["nats"] == pytest.approx(float(loss) * (ids.shape[1] - 1), rel=1e-5)
        assert row["tokens"] == ids.shape[1] - 1
        assert row["last_word_tokens"] == len(words.encode(f" {text.split()[-1]}"))


def test_clip_compares_texts_by_cosine_and_things_by_size(tmp_path: Path) -> None:
    folder = checkpoints.clip_text(tmp_path)
    plugin = BASELINES.get("clip_text")
    table = plugin.answers(Checkpoint(str(folder)), asked())
    model, words = read(folder, "CLIPTextModelWithProjection")

    def vector(text: str) -> Any:
        with torch.inference_mode():
            found = model(**words(text, return_tensors="pt")).text_embeds[0].double().numpy()
        return found / np.linalg.norm(found)

    for row, text in enumerate(TEXTS):
        scores = 100 * np.array([vector(text) @ vector(f"{text} {c}") for c in CHOICES])
        shares = scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max()
        np.testing.assert_allclose(columns(table, "choice")[row], shares, atol=1e-3)
    things = [("house", "mouse"), ("mouse", "house"), ()]
    items = asked().items.with_columns(things=pl.Series(things))
    sizes = plugin.answers(Checkpoint(str(folder)), AskedTexts(TEXTS, items, ("yes", "no")))
    direction = vector("large") - vector("small")
    margin = 200 * float((vector("house") - vector("mouse")) @ direction)
    found = (sizes["choice_0"] - sizes["choice_1"]).to_list()
    assert found == pytest.approx([margin, -margin, 0], abs=1e-3)


@pytest.mark.parametrize("kind", ["causal_lm", "masked_lm", "clip_text"])
def test_batches_and_order_change_no_answer(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(make(kind, tmp_path))
    plugin: Baseline = BASELINES.get(kind)
    whole = columns(plugin.answers(Checkpoint(folder), asked()), "choice")
    monkeypatch.setattr(reading, "LOGITS_PER_BATCH", 1)
    for module in (masked_lm, clip_text):
        monkeypatch.setattr(module, "TOKENS_PER_BATCH", 1)
    alone = columns(plugin.answers(Checkpoint(folder), asked(TEXTS[::-1])), "choice")[::-1]
    np.testing.assert_allclose(alone, whole, atol=1e-5 if kind != "clip_text" else 1e-3)


def make(kind: str, folder: Path) -> Path:
    match kind:
        case "causal_lm":
            return checkpoints.gpt2(folder)
        case "clip_text":
            return checkpoints.clip_text(folder)
        case _:
            return checkpoints.bert(folder, ["red", "green"])


def test_a_long_text_loses_its_beginning_not_its_mask(tmp_path: Path) -> None:
    folder = checkpoints.bert(tmp_path, ["red", "green"])
    texts = (f"{'very ' * 200}{TEXTS[0]}", f"{'indeed ' * 90}{'very ' * 200}{TEXTS[0]}")
    table = BASELINES.get("masked_lm").answers(Checkpoint(str(folder)), asked(texts))
    first, second = columns(table, "choice")
    np.testing.assert_allclose(first, second, atol=1e-6)


def test_what_is_no_such_checkpoint_is_said_in_one_line(tmp_path: Path) -> None:
    folder = checkpoints.bert(tmp_path / "bert", ["red"])
    Checkpoint(str(folder), sha256=digest_of_weights(folder)).folder  # noqa: B018
    with pytest.raises(IntegrityError, match="expected 0000"):
        Checkpoint(str(folder), sha256="0" * 64).folder  # noqa: B018
    headless, words = read(folder, "BertModel")
    headless.save_pretrained(tmp_path / "headless")
    words.save_pretrained(tmp_path / "headless")
    with pytest.raises(InputError, match="weights are missing"):
        Checkpoint(str(tmp_path / "headless")).model(transformers.AutoModelForMaskedLM)
    with pytest.raises(InputError, match="AutoModelForCausalLM"):
        Checkpoint(str(checkpoints.clip_text(tmp_path / "clip"))).model(
            transformers.AutoModelForCausalLM
        )
    with pytest.raises(InputError, match="no tokens of its own"):
        BASELINES.get("masked_lm").answers(Checkpoint(str(folder)), asked(choices=("red", "日")))
    (tmp_path / "pickled").mkdir()
    (tmp_path / "pickled/pytorch_model.bin").write_bytes(b"\x80\x04N.")
    with pytest.raises(InputError, match="no weights in safetensors"):
        Checkpoint(str(tmp_path / "pickled")).folder  # noqa: B018


def test_a_checkpoint_is_had_by_its_id_as_by_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the hub's cache, laid out as its client does; what is no weight or vocabulary stays out."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub/models--nobody--tiny"
    folder = checkpoints.gpt2(cached / "snapshots" / commit)
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text(commit, encoding="utf-8")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    plugin = BASELINES.get("causal_lm")
    for revision in (None, commit):
        found = plugin.answers(Checkpoint("nobody/tiny", revision), asked())
        assert found.equals(plugin.answers(Checkpoint(str(folder)), asked()))
    with pytest.raises(SourceError, match="cannot be had from the hub"):
        Checkpoint("nobody/tiny", "another").folder  # noqa: B018


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SourceError) as caught:
        Checkpoint("nobody/no-such-model-at-all").folder  # noqa: B018
    assert "\n" not in str(caught.value) and caught.value.exit_code == 7


def test_the_real_command_line_to_the_score_table(tmp_path: Path) -> None:
    study = TinyStudy(tmp_path / "study")
    folder = checkpoints.bert(tmp_path / "bert", ["round", "square"])
    requests = {task: study.prepare(task) for task in ("shape", "held_out_text")}
    predictions = [study.evaluate("gpt2_star", "none", task, requests[task]) for task in requests]
    for task, request in requests.items():
        output = tmp_path / f"baselines/masked_lm/{task}.manifest.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        run = command(folder, task, request, output)
        assert run.returncode == 0, run.stderr
        predictions.append(output)
    assert read_manifest(predictions[-1]).facts["status"] == "not asked"
    weights = digest_of_weights(folder)
    assert read_manifest(predictions[-2]).facts["weights"] == weights
    output = tmp_path / "scores.manifest.json"
    score_models(
        study.job("score-models"), predictions=predictions, requests=list(requests.values()),
        output=output,
    )  # fmt: skip
    scores = pl.read_parquet(output.with_name("scores.parquet")).filter(model="masked_lm")
    assert set(scores["task"]) == {"shape"} and set(scores["control"]) == {"own"}
    assert set(scores["seed"]) == {-1, 0}
    missing = command(Path("nobody/no-such-model"), "shape", requests["shape"], output)
    assert missing.returncode == 7 and missing.stderr.count("\n") == 1, missing.stderr


def test_published_numbers_are_of_metrics_that_we_have() -> None:
    known = {metric for task in TASKS.names() for metric in metrics_of(task)}
    assert {key[:2] for key in published() if key[0] != "training"} <= known


def metrics_of(task: str) -> set[tuple[str, str]]:
    return {(task, definition.metric) for definition in TASKS.get(task).definitions
            if definition.definition == "legacy"}  # fmt: skip


def command(
    checkpoint: Path, task: str, request: Path, output: Path
) -> subprocess.CompletedProcess[str]:
    arguments = ["--baseline", "masked_lm", "--checkpoint", str(checkpoint), "--task", task,
                 "--request", str(request), "--output", str(output)]  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "valm", "evaluate-baseline", *arguments],
        capture_output=True, text=True, check=False, env=os.environ | {"HF_HUB_OFFLINE": "0", "HF_ENDPOINT": "http://127.0.0.1:9"},
    )  # fmt: skip
