"""lm-evaluation-harness on our models, and our probes on anybody's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import pytest
import torch
from builders import checkpoints
from builders.encoders import FakeEncoder
from builders.trained import Trained, make_trained
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager
from lm_eval.utils import get_rolling_token_windows
from typer.testing import CliRunner

from valm.cli.main import app
from valm.evaluate.answers import reading
from valm.harness.run import PROBES
from valm.harness.seeing import SeeingModel
from valm.harness.valm_lm import ValmLM, rolling

PAIRS = [
    ("the apple is", " red"), ("the apple is", " green"), ("the apple is", " red and blue 42"),
    ("a frog", " is green."), ("", "a white snowflake"), ("a frog " * 20, "is green"),
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return make_trained(tmp_path_factory.mktemp("trained"))


@pytest.fixture(autouse=True)
def _fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The built study's encoder has no file; any causal one does."""
    monkeypatch.setattr("valm.harness.seeing.load_encoder", lambda _: FakeEncoder())


def loaded(trained: Trained, pictures: str | None = None) -> SeeingModel:
    return SeeingModel.load(trained.model, trained.results, pictures)


def asked(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, args, n) for n, args in enumerate(arguments)]  # type: ignore[arg-type]


def one_by_one(model: SeeingModel, context: str, answer: str) -> tuple[float, bool]:
    """Log-probability and greediness with a pass for this text alone, all logits of it."""
    before = model.words.encode(context) or [model.words.end_of_text]
    ids = before + model.words.encode(context + answer)[len(before) if context else 0 :]
    length = min(model.context_tokens, len(ids) - 1)
    places = np.arange(len(ids) - 1 - length, len(ids) - 1)[np.newaxis]
    with torch.inference_mode():
        pictures = model.reader([ids[:-1]]).pictures(places)
        logits = model.network(torch.tensor(ids)[places], pictures)[0]
    count = len(ids) - len(before)
    scores, wanted = logits.log_softmax(-1)[-count:], torch.tensor(ids[-count:])
    total = scores.gather(1, wanted[:, None]).sum()
    return float(total), bool((scores.argmax(-1) == wanted).all())


@pytest.mark.parametrize("pictures", [None, "none", "permuted"])
def test_likelihoods_are_those_of_each_text_alone(trained: Trained, pictures: str | None) -> None:
    model = loaded(trained, pictures)
    assert (model.retriever is None) == (pictures == "none")
    found = ValmLM(model).loglikelihood(asked("loglikelihood", *PAIRS))
    if pictures == "permuted":  # its draw is by place among all tokens: only finite here
        assert all(np.isfinite(score) for score, _ in found)
        return
    expected = [one_by_one(model, *pair) for pair in PAIRS]
    np.testing.assert_allclose([f[0] for f in found], [e[0] for e in expected], rtol=1e-5)
    assert [f[1] for f in found] == [e[1] for e in expected]


def test_pictures_change_likelihoods(trained: Trained) -> None:
    seeing, blind = (
        ValmLM(loaded(trained, pictures)).loglikelihood(asked("loglikelihood", *PAIRS))
        for pictures in (None, "none")
    )
    assert all(abs(s[0] - b[0]) > 1e-4 for s, b in zip(seeing, blind, strict=True))


def test_batches_and_order_change_no_likelihood(
    trained: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(trained)
    together = ValmLM(model).loglikelihood(asked("loglikelihood", *PAIRS))
    monkeypatch.setattr(reading, "TOKENS_PER_BATCH", 1)
    monkeypatch.setattr("valm.harness.valm_lm.TEXTS_AT_ONCE", 2)
    turned = ValmLM(model).loglikelihood(asked("loglikelihood", *PAIRS[::-1]))[::-1]
    np.testing.assert_allclose([f[0] for f in turned], [f[0] for f in together], rtol=1e-5)


@pytest.mark.parametrize("context", [1, 4, 7])
def test_windows_are_the_harness_s(context: int) -> None:
    for total in range(1, 30):
        ids = list(range(100, 101 + total))
        expected = get_rolling_token_windows(ids[1:], ids[0], context, 1)
        found = [(ids[s.start : s.start + s.length], list(s.wanted)) for s in rolling(ids, context)]
        assert found == [(list(read), list(wanted)) for read, wanted in expected]


def test_a_text_costs_the_sum_of_its_windows(trained: Trained) -> None:
    model = loaded(trained, "none")
    text = "the sky is blue, a snowflake is white and a frog is green. " * 8
    (found,) = ValmLM(model).loglikelihood_rolling(asked("loglikelihood_rolling", (text,)))
    ids = [model.words.end_of_text, *model.words.encode(text)]
    total = 0.0
    for span in rolling(ids, model.context_tokens):
        with torch.inference_mode():
            read = torch.tensor([ids[span.start : span.start + span.length]])
            scores = model.network(read)[0].log_softmax(-1)[-len(span.wanted) :]
        total += float(scores.gather(1, torch.tensor(span.wanted)[:, None]).sum())
    assert len(ids) > 2 * model.context_tokens and found == pytest.approx(total, rel=1e-5)


def test_it_goes_on_greedily_to_a_stop(trained: Trained) -> None:
    model = loaded(trained)
    lm = ValmLM(model)
    (text,) = lm.generate_until(asked("generate_until", ("the apple", {"max_gen_toks": 6})))
    ids = model.words.encode("the apple")
    for _ in range(6):
        with torch.inference_mode():
            pictures = model.reader([ids]).pictures(np.arange(len(ids))[None])
            logits = model.network(torch.tensor([ids]), pictures)
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] == model.words.end_of_text:
            break
    assert model.words.decode(model.words.encode("the apple" + text)) == model.words.decode(
        [token for token in ids if token != model.words.end_of_text]
    )
    stop = text[2:4]
    (cut,) = lm.generate_until(
        asked("generate_until", ("the apple", {"max_gen_toks": 6, "until": [stop]}))
    )
    assert cut == text[: text.index(stop)]


class Knowing(LM):
    """Answers by a function of prompt and candidate."""

    def __init__(self, likes: Any):
        super().__init__()
        self.likes = likes

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        return [(float(self.likes(request)), False) for request in requests]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        raise NotImplementedError

    def generate_until(self, requests: list[Instance]) -> list[str]:
        raise NotImplementedError


PROBE_TASKS = ["valm_colour", "valm_shape", "valm_size"]


def test_our_probes_score_what_they_must() -> None:
    def scores(likes: Any) -> dict[str, float]:
        manager = TaskManager(include_path=str(PROBES), include_defaults=False)
        found = lm_eval.simple_evaluate(
            Knowing(likes), tasks=PROBE_TASKS, task_manager=manager, bootstrap_iters=0
        )
        assert found is not None
        return {task: found["results"][task]["acc,none"] for task in PROBE_TASKS}

    assert scores(lambda r: r.doc["choices"][r.doc["gold"]] == r.args[1].strip()) == dict.fromkeys(
        PROBE_TASKS, 1
    )
    assert scores(lambda r: r.args[1] == " yes")["valm_size"] == 0.5


PIQA = [
    {"goal": "make the apple red", "sol1": "paint it", "sol2": "eat it", "label": 0},
    {"goal": "see the sky", "sol1": "look down", "sol2": "look up", "label": 1},
    {"goal": "find a frog", "sol1": "go to a pond", "sol2": "go to the shop", "label": 0},
]


def test_piqa_runs_on_a_fixture_by_the_real_command_line(trained: Trained, tmp_path: Path) -> None:
    """The harness's own file of PIQA, with its rows from a file instead of the hub."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in PIQA), encoding="utf-8")
    theirs = Path(lm_eval.__file__).parent / "tasks/piqa/piqa.yaml"
    (tmp_path / "piqa.yaml").write_text(
        f"include: {theirs}\ntask: piqa_fixture\ndataset_path: json\ntraining_split: null\n"
        f"dataset_kwargs: {{data_files: {{validation: {rows}}}}}\n",
        encoding="utf-8",
    )
    output = tmp_path / "scores.json"
    arguments = [*options(trained, "piqa_fixture", output), "--include-path", str(tmp_path)]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    model = loaded(trained)
    right = 0
    for row in PIQA:
        prompt = f"Question: {row['goal']}\nAnswer:"
        scores = [one_by_one(model, prompt, f" {row[name]}")[0] for name in ("sol1", "sol2")]
        right += int(np.argmax(scores) == row["label"])
    found = json.loads(output.read_text(encoding="utf-8"))
    assert found["results"]["piqa_fixture"]["acc,none"] == pytest.approx(right / len(PIQA))
    assert found["pictures"] == "retrieved"


@pytest.mark.parametrize(
    ("task", "code", "said"),
    [
        ("piqa", 7, "error: a task's data cannot be had: "),
        ("valm_color", 2, "error: there is no task 'valm_color' -> did you mean 'valm_colour'?"),
    ],
)
def test_what_cannot_be_had_is_one_line(tmp_path: Path, task: str, code: int, said: str) -> None:
    blind = make_trained(tmp_path / "results", fusion="none")
    output = tmp_path / "scores.json"
    run = subprocess.run(
        [sys.executable, "-m", "valm", *options(blind, task, output)],
        capture_output=True, text=True, check=False,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
    )  # fmt: skip
    assert run.returncode == code, run.stderr[-3000:]
    assert run.stderr.splitlines()[-1].startswith(said)
    assert "Traceback" not in run.stderr and not output.exists()


def options(trained: Trained, tasks: str, output: Path) -> list[str]:
    return ["lm-eval", "--model", str(trained.model), "--results", str(trained.results),
            "--tasks", tasks, "--output", str(output)]  # fmt: skip


def test_a_probe_gives_any_hub_model_what_our_baseline_gives_it(tmp_path: Path) -> None:
    """The harness's Hugging Face backend and ``evaluate-baseline`` agree on the shape probe."""
    import polars as pl
    from lm_eval.models.huggingface import HFLM

    from valm.evaluate.answers.baseline import BASELINES, AskedTexts
    from valm.evaluate.answers.checkpoint import Checkpoint
    from valm.harness.probes import shape
    from valm.ingest.probes import SHAPES

    folder = checkpoints.gpt2(tmp_path, n_positions=64)
    manager = TaskManager(include_path=str(PROBES), include_defaults=False)
    found = lm_eval.simple_evaluate(
        HFLM(pretrained=str(folder), device="cpu", batch_size=16), tasks=["valm_shape"],
        task_manager=manager, limit=20, bootstrap_iters=0,
    )  # fmt: skip
    assert found is not None
    theirs = [
        [response[0] for response in sample["filtered_resps"]]
        for sample in found["samples"]["valm_shape"]
    ]
    texts = shape()["test"]["question"][:20]
    items = pl.DataFrame({"item": texts, "things": [[]] * 20})
    ours = BASELINES.get("causal_lm").answers(
        Checkpoint(str(folder)), AskedTexts(texts, items, SHAPES)
    )
    columns = [f"choice_{n}" for n in range(len(SHAPES))]
    np.testing.assert_allclose(ours.select(columns).to_numpy(), theirs, atol=1e-4)
