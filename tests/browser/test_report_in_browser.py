"""The report opened from disk in a real browser: on a phone, without the net, by keyboard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders.results import write_results

from valm.core.job import Job
from valm.report.pages.report import write_report

PAGES = ("index.html", "artifacts.html", "data_card.html")
WIDE = (
    """[...document.querySelectorAll(".scroll")].filter(box => box.scrollWidth > box.clientWidth)"""
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = write_results(tmp_path_factory.mktemp("study") / "results")
    output = results / "report/report.manifest.json"
    job = Job("write-report", {"study": "another"}, "code")
    write_report(job, results=results, notebooks=[], output=output)
    return output.parent


@pytest.mark.parametrize("name", PAGES)
def test_a_phone_shows_it_without_scrolling_sideways_and_nothing_is_asked(
    folder: Path, browser: Any, name: str
) -> None:
    page, requests, complaints = browser.new_page(viewport={"width": 390, "height": 800}), [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((folder / name).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
    assert page.evaluate(loaded)  # before anybody scrolls: as it is printed
    asked = [url for url in requests if not url.startswith("data:")]
    assert (asked, complaints) == ([(folder / name).as_uri()], [])
    page.close()


def test_what_is_wider_than_the_phone_scrolls_by_keyboard_under_a_shade(
    folder: Path, browser: Any
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    page.goto((folder / "index.html").as_uri())
    wide = page.evaluate(f"{WIDE}.map(box => box.parentElement.id)")
    assert {"figure-differences", "table-paper_table_2"} <= set(wide)
    box = page.locator("#table-paper_table_2 .scroll")
    assert "linear-gradient" in box.evaluate("box => getComputedStyle(box).backgroundImage")
    box.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(100):  # the page's policy lets no script of ours wait in it
        page.wait_for_timeout(20)
        if box.evaluate("box => box.scrollLeft") > 0:
            break
    assert box.evaluate("box => box.scrollLeft") > 0
    page.close()


def test_at_a_desk_the_tables_of_the_page_are_seen_whole(folder: Path, browser: Any) -> None:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.goto((folder / "index.html").as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert page.evaluate(f"{WIDE}.map(box => box.parentElement.id)") == []
    page.close()
