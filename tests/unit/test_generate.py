"""``valm generate``: what it prints, as lines and as JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from builders.drawn_study import COLOURS, TOP_K, DrawnStudy
from typer.testing import CliRunner

from valm.cli.main import app
from valm.errors import ConfigError, InputError
from valm.serve.open_study import OpenStudy

PROMPT = "the color of a red square is"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> DrawnStudy:
    return DrawnStudy(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def said(drawn: DrawnStudy, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command on the drawn study; what it prints, line by line."""
    monkeypatch.setattr(OpenStudy, "with_model", lambda study, model, seed: drawn)

    def run(*words: str) -> list[str]:
        done = CliRunner().invoke(app, ["generate", *words])
        if done.exception is not None:
            raise done.exception
        return done.stdout.splitlines()

    return run


def test_every_prompt_goes_on_and_a_file_holds_more_of_them(said: Any, tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("a green square\n\na blue square\n")
    texts = said(PROMPT, "--file", str(file), "--tokens", "4")
    starts = [PROMPT, "a green square", "a blue square"]
    assert len(texts) == 3
    for text, start in zip(texts, starts, strict=True):
        assert text.startswith(start) and len(text) > len(start)
    assert said(PROMPT, "--tokens", "4") == texts[:1]


def test_sampling_follows_its_seed(said: Any) -> None:
    hot = (PROMPT, "--tokens", "8", "--temperature", "3")
    one, other = said(*hot, "--sampling-seed", "1"), said(*hot, "--sampling-seed", "2")
    assert one == said(*hot, "--sampling-seed", "1") != other
    likeliest = said(*hot, "--top-k", "1")
    assert likeliest == said(PROMPT, "--tokens", "8")


def test_json_says_what_each_token_looked_at(said: Any, drawn: DrawnStudy) -> None:
    (line,) = said(PROMPT, "--tokens", "3", "--show-pictures", "--json")
    told = json.loads(line)
    assert told["prompt"] == PROMPT and told["text"] == PROMPT + told["continuation"]
    prompt = drawn.tokenizer.encode(PROMPT)
    assert [token["generated"] for token in told["tokens"]] == [False] * len(prompt) + [True] * 3
    found = drawn.retrieve(prompt)
    for place, token in enumerate(told["tokens"][: len(prompt)]):
        assert [one["id"] for one in token["pictures"]] == found.ids[place].tolist()
        names = [f"{COLOURS[number]} square" for number in found.ids[place]]
        assert [one["name"] for one in token["pictures"]] == names
        scores = [one["score"] for one in token["pictures"]]
        assert scores == pytest.approx(found.scores[place].tolist())
        assert 0 < sum(one["weight"] for one in token["pictures"]) < 1
    assert told["tokens"][-1]["pictures"] == []  # drawn, not read
    (plain,) = said(PROMPT, "--tokens", "3", "--json")
    assert "tokens" not in json.loads(plain)


def test_lines_name_pictures_and_a_model_without_any_has_none(said: Any) -> None:
    text, *tokens = said(PROMPT, "--tokens", "2", "--show-pictures")
    assert text.startswith(PROMPT)
    assert tokens[0].count("square score") == tokens[-2].count("square score") == TOP_K
    _, *blind = said(PROMPT, "--tokens", "2", "--show-pictures", "--model", "gpt2_star")
    assert all(line.endswith(" -") for line in blind)


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ((), InputError, "there is no prompt"),
        ((PROMPT, "--tokens", "99"), InputError, "and 99 more do not fit .* 24 tokens"),
        ((PROMPT, "--control", "nonne"), ConfigError, "did you mean 'valm:none'"),
        (("--file", "no-such-file"), InputError, "cannot read the prompts"),
    ],
)
def test_what_cannot_be_is_refused(
    said: Any, words: tuple[str, ...], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        said(*words)


def test_another_model_than_the_studys_is_refused_before_anything_is_read() -> None:
    done = CliRunner().invoke(app, ["generate", PROMPT, "--model", "vlam"])
    assert isinstance(done.exception, ConfigError) and "did you mean 'valm'" in str(done.exception)
