"""The viewer as one file, opened from disk in a real browser: it answers without anybody to ask."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders.drawn_study import DrawnStudy

from valm.serve.recorded_page import recorded_page

PROMPTS = ["the color of a red square is", "a </script><b>blue", "a green", "it is", "the color"]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded")
    page = recorded_page(DrawnStudy(folder), [*PROMPTS, "red " * 40])  # type: ignore[arg-type]
    assert page == recorded_page(DrawnStudy(folder / "again"), PROMPTS)  # type: ignore[arg-type]
    path = folder / "viewer.html"
    path.write_text(page, encoding="utf-8")
    return path


@pytest.fixture
def opened(file: Path, browser: Any) -> Iterator[tuple[Any, list[str], list[str]]]:
    """The page, what it asked for, and what it complained of."""
    page, requests, complaints = browser.new_page(viewport={"width": 1100, "height": 1400}), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    page.wait_for_selector("#models .model")
    yield page, requests, complaints
    page.close()


def numbers(page: Any, key: str) -> str:
    return str(page.locator(f'.model[data-key="{key}"]').inner_text())


def test_dropping_and_replacing_a_picture_moves_valm_alone_and_nothing_is_asked(
    opened: tuple[Any, list[str], list[str]], file: Path
) -> None:
    page, requests, complaints = opened
    assert "by the models of seed 3 alone" in page.locator("#result").inner_text()
    before, plain = numbers(page, "valm:own"), numbers(page, "gpt2_star:own")
    page.get_by_label("Drop picture 1").click()
    page.wait_for_selector("#pictures >> text=no picture")
    dropped = numbers(page, "valm:own")
    page.get_by_label("Replace picture 2").click()
    page.get_by_role("list", name="Pictures found").get_by_role("button").first.click()
    page.wait_for_selector("#pictures >> text=chosen by you")
    assert page.locator("#pictures >> text=no picture").count() == 0  # one exchange at a time
    replaced = numbers(page, "valm:own")
    assert len({before, dropped, replaced}) == 3
    assert numbers(page, "gpt2_star:own") == plain
    page.get_by_role("button", name="Put the retrieved pictures back").click()
    assert numbers(page, "valm:own") == before
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]
    assert complaints == []
    loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(loaded)


def test_another_prompt_is_chosen_by_keyboard_and_hostile_text_stays_text(
    opened: tuple[Any, list[str], list[str]],
) -> None:
    page, _, complaints = opened
    choice = page.get_by_label("Prompt", exact=True)
    choice.focus()
    page.keyboard.press("ArrowDown")
    page.wait_for_function("document.getElementById('prompt').selectedIndex === 1")
    assert choice.input_value() == PROMPTS[1]
    tokens = page.get_by_role("group", name="Tokens of the prompt").get_by_role("button")
    for number in range(tokens.count()):
        tokens.nth(number).click()
    assert page.locator("b").count() == 0
    assert page.evaluate("window.hacked") is None
    assert complaints == []


def test_earlier_tokens_show_their_pictures_and_offer_no_exchange(
    opened: tuple[Any, list[str], list[str]],
) -> None:
    page, _, _ = opened
    page.get_by_role("group", name="Tokens of the prompt").get_by_role("button").first.click()
    assert page.locator("#pictures img").count() == 3
    assert page.locator("#pictures button").count() == 0


def test_every_control_has_a_name_and_a_phone_shows_it(
    opened: tuple[Any, list[str], list[str]],
) -> None:
    page, _, _ = opened
    for line in page.locator("main").aria_snapshot().splitlines():
        if line.strip().startswith(("- button", "- combobox", "- img", "- textbox")):
            assert '"' in line, line
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_models_that_read_fewer_pictures_are_told_apart(tmp_path: Path, browser: Any) -> None:
    study = DrawnStudy(tmp_path)
    valm = study.voice("valm")
    study.voices = (replace(valm, model="valm_k1", top_k=1), *study.voices)
    file = tmp_path / "viewer.html"
    file.write_text(recorded_page(study, PROMPTS[:1]), encoding="utf-8")  # type: ignore[arg-type]
    page = browser.new_page()
    page.goto(file.as_uri())
    page.wait_for_selector("#models .model")
    assert "attention that VaLM, K = 1 pays" in page.locator("#result").inner_text()
    shown = page.locator("#pictures").inner_text()
    for key, label, pictures in (("valm_k1:own", "VaLM, K = 1", 1), ("valm:own", "VaLM", 3)):
        parts = re.findall(rf"attention of {label}: ([\d.]+)\s%", shown)
        (whole,) = re.findall(r"pictures at the last token: ([\d.]+)\s%", numbers(page, key))
        assert len(parts) == pictures
        assert sum(map(float, parts)) == pytest.approx(float(whole), abs=0.2)
    page.close()
