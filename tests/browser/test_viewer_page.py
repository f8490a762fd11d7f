"""The viewer's page in a real browser: type, click, read the changed numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from builders.drawn_study import DrawnStudy

from valm.serve.app import make_app


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The viewer of random models, on a free port."""
    app = make_app(DrawnStudy(tmp_path_factory.mktemp("drawn")))  # type: ignore[arg-type]
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@dataclass
class Seen:
    """What a page asked for and complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


Opened = tuple[Any, Seen]  # a page of playwright, and what it did


@pytest.fixture
def opened(address: str, browser: Any) -> Iterator[Opened]:
    """The page after its first answer."""
    page, seen = browser.new_page(viewport={"width": 1100, "height": 1400}), Seen()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(address)
    page.get_by_label("Prompt", exact=True).fill("the color of a red square is")
    page.get_by_label("Words to compare").fill("red, green blue")
    page.get_by_role("button", name="Look").click()
    page.wait_for_selector("#models .model")
    yield page, seen
    page.close()


def numbers(page: Any, key: str) -> str:
    """The text of a model's card."""
    return str(page.locator(f'.model[data-key="{key}"]').inner_text())


def changed(page: Any, key: str, before: str) -> str:
    """Wait until a model's card reads otherwise."""
    page.wait_for_function(
        "([key, before]) => document.querySelector(`.model[data-key='${key}']`).innerText !== before",
        arg=[key, before],
    )
    return numbers(page, key)


def test_replacing_and_dropping_pictures_moves_the_words_of_valm_alone(opened: Opened) -> None:
    page, seen = opened
    before, plain = numbers(page, "valm:own"), numbers(page, "gpt2_star:own")
    assert "GPT-2*" in plain and "red" in plain and "%" in plain
    token = page.get_by_role("group", name="Tokens of the prompt").get_by_role("button").last
    assert token.get_attribute("aria-pressed") == "true"

    page.get_by_label("Replace picture 1").click()
    page.get_by_label("Text", exact=True).fill("a red or a white one")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Use white square").click()
    page.wait_for_selector("#pictures >> text=chosen by you")
    replaced = numbers(page, "valm:own")
    assert (
        page.locator("#pictures .card").first.locator("img").get_attribute("alt") == "white square"
    )

    page.get_by_label("Drop picture 2").click()
    page.wait_for_selector("#pictures >> text=no picture")
    dropped = changed(page, "valm:own", replaced)
    assert len({before, replaced, dropped}) == 3
    assert numbers(page, "gpt2_star:own") == plain

    page.get_by_role("button", name="Put the retrieved pictures back").click()
    assert changed(page, "valm:own", dropped) == before
    assert seen.complaints == []


def test_a_hostile_caption_is_text_and_nothing_is_fetched_from_elsewhere(
    opened: Opened, address: str
) -> None:
    page, seen = opened
    tokens = page.get_by_role("group", name="Tokens of the prompt").get_by_role("button")
    for number in range(tokens.count()):
        tokens.nth(number).click()
        if page.locator("#pictures >> text=<script>").count():
            break
    else:
        raise AssertionError("no token showed the picture with the hostile caption")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("window.hacked") is None
    assert [url for url in seen.requests if not url.startswith(address)] == []
    loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(loaded)


def test_it_works_by_keyboard_and_every_control_has_a_name(opened: Opened) -> None:
    page, _ = opened
    page.get_by_label("Words to compare").focus()
    page.keyboard.press("Tab")
    first = page.get_by_role("group", name="Tokens of the prompt").get_by_role("button").first
    assert first.evaluate("element => element === document.activeElement")
    page.keyboard.press("Enter")
    assert first.get_attribute("aria-pressed") == "true"
    assert first.evaluate("element => element === document.activeElement")
    snapshot = page.locator("main").aria_snapshot()
    for line in snapshot.splitlines():
        if line.strip().startswith(("- button", "- textbox", "- img", "- searchbox")):
            assert '"' in line, line


def test_a_phone_shows_it_without_scrolling_sideways(opened: Opened) -> None:
    page, _ = opened
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.get_by_role("button", name="Look").is_visible()


def test_a_prompt_that_is_too_long_says_so(opened: Opened) -> None:
    page, _ = opened
    page.get_by_label("Prompt", exact=True).fill("red square " * 40)
    page.keyboard.press("Enter")
    page.wait_for_selector("#status.failed")
    assert "1 to 24 tokens" in page.get_by_role("status").first.inner_text()
