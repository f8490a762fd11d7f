"""The viewer's answers over HTTP: where models look, what exchanges change, what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders.drawn_study import COLOURS, TOP_K, DrawnStudy
from fastapi.testclient import TestClient

from valm.serve.app import LONGEST_TEXT, make_app

PROMPT = "the color of a red square is"
WORDS = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> TestClient:
    app = make_app(DrawnStudy(tmp_path_factory.mktemp("drawn")))  # type: ignore[arg-type]
    return TestClient(app, base_url="http://localhost")


def asked(client: TestClient, exchanges: list[dict[str, Any]], prompt: str = PROMPT) -> Any:
    body = {"prompt": prompt, "exchanges": exchanges, "words": WORDS}
    response = client.post("/answers", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def by_key(told: Any) -> dict[str, Any]:
    return {model["key"]: model for model in told["models"]}


def test_attention_to_text_and_pictures_sums_to_one(client: TestClient) -> None:
    told = asked(client, [])
    valm = by_key(told)["valm:own"]
    assert valm["on_pictures"] + sum(valm["on_text"]) == pytest.approx(1, abs=1e-5)
    last = [picture["weights"]["valm:own"] for picture in told["tokens"][-1]["pictures"]]
    assert sum(last) == pytest.approx(valm["on_pictures"], abs=1e-6)
    assert by_key(told)["gpt2_star:own"]["on_pictures"] is None


def test_words_compared_are_shares_of_their_sum(client: TestClient) -> None:
    for model in asked(client, [])["models"]:
        assert [word["text"].strip() for word in model["compared"]] == WORDS
        assert sum(word["probability"] for word in model["compared"]) == pytest.approx(1, abs=1e-5)
        likeliest = [word["probability"] for word in model["likeliest"]]
        assert likeliest == sorted(likeliest, reverse=True)


def test_a_model_that_reads_fewer_pictures_looks_at_the_first_ones_only(tmp_path: Path) -> None:
    study = DrawnStudy(tmp_path)
    study.voices = tuple(replace(voice, top_k=2) for voice in study.voices)
    client = TestClient(make_app(study), base_url="http://localhost")  # type: ignore[arg-type]
    told = asked(client, [])
    pictures = told["tokens"][-1]["pictures"]
    assert ["valm:own" in picture["weights"] for picture in pictures] == [True, True, False]
    unread = {"token": len(told["tokens"]) - 1, "place": TOP_K - 1, "picture": None}
    assert by_key(asked(client, [unread])) == by_key(told)


def test_an_exchange_moves_only_who_looks_at_retrieved_pictures(client: TestClient) -> None:
    before = asked(client, [])
    shown = [picture["id"] for picture in before["tokens"][-1]["pictures"]]
    other = next(number for number in range(len(COLOURS)) if number not in shown)
    place = {"token": len(before["tokens"]) - 1, "place": 0, "picture": other}
    after = asked(client, [place])
    assert after["tokens"][-1]["pictures"][0]["name"] == f"{COLOURS[other]} square"
    assert after["tokens"][-1]["pictures"][0]["score"] is None
    moved = {key for key, told in by_key(after).items() if told != by_key(before)[key]}
    assert moved == {"valm:own"}


def test_without_any_picture_it_is_the_model_with_pictures_off(client: TestClient) -> None:
    tokens = len(asked(client, [])["tokens"])
    dropped = [
        {"token": token, "place": place, "picture": None}
        for token in range(tokens)
        for place in range(TOP_K)
    ]
    told = asked(client, dropped)
    assert told["tokens"][0]["pictures"] == [None] * TOP_K
    off, none = by_key(told)["valm:none"], by_key(told)["valm:own"]
    for one, other in zip(off["likeliest"], none["likeliest"], strict=True):
        assert one["text"] == other["text"]
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)
    assert none["on_pictures"] == 0


@pytest.mark.parametrize(
    "body, words",
    [
        ({"prompt": ""}, "1 to 24 tokens"),
        ({"prompt": "red square " * 30}, "1 to 24 tokens"),
        ({"prompt": PROMPT, "exchanges": [{"token": 99, "place": 0, "picture": 1}]}, "token 99"),
        ({"prompt": PROMPT, "exchanges": [{"token": 0, "place": 3, "picture": 1}]}, "place 3"),
        ({"prompt": PROMPT, "exchanges": [{"token": 0, "place": 0, "picture": 77}]}, "picture 77"),
        ({"prompt": PROMPT, "words": ["zyxw"]}, "not one token"),
    ],
)
def test_a_wrong_question_is_told_in_words(client: TestClient, body: Any, words: str) -> None:
    response = client.post("/answers", json=body)
    assert response.status_code == 422
    assert words in response.json()["error"]


def test_sizes_are_capped_and_unknown_keys_refused(client: TestClient) -> None:
    long = {"prompt": "a" * (LONGEST_TEXT + 1)}
    assert client.post("/answers", json=long).status_code == 422
    assert client.post("/answers", json={"prompt": "a", "shell": "x"}).status_code == 422
    assert client.get("/found", params={"text": "a" * (LONGEST_TEXT + 1)}).status_code == 422


def test_pictures_are_pictures_and_nothing_else_is_served(client: TestClient) -> None:
    picture = client.get("/pictures/2")
    assert picture.headers["content-type"] == "image/png"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert [found["name"] for found in client.get("/found?text=a blue one").json()] == [
        "blue square"
    ]
    for path in (
        "/pictures/99",
        "/pictures/..%2f..%2fetc%2fpasswd",
        "/docs",
        "/openapi.json",
        "/x",
    ):
        assert client.get(path).status_code in (404, 422)


def test_another_host_is_refused_and_the_page_may_load_nothing_else(client: TestClient) -> None:
    assert client.get("/", headers={"Host": "rebound.example"}).status_code == 400
    page = client.get("/")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for text in (page.text, client.get("/viewer.js").text, client.get("/viewer.css").text):
        assert "http" not in text
    assert "innerHTML" not in client.get("/viewer.js").text
