"""A caption, a name or a picture from the wild cannot put markup, scripts or requests on a page."""

import io
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
from builders.results import HOSTILE, write_results
from PIL import Image

from valm.core.job import Job
from valm.report.pages.report import write_report
from valm.report.pictures import CaptionedPicture, contact_sheet, data_uri
from valm.report.tables.layout import table

LOADING = {"src", "srcset", "data", "poster", "action", "background", "xlink:href"}


class Suspicious(HTMLParser):
    """Collects everything that could run or be requested."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "iframe", "object", "embed", "base", "form"):
            self.found.append(tag)
        for name, value in attrs:
            outside = value is not None and not value.startswith(
                ("data:image/webp", "data:image/png", "#")
            )
            if name.startswith("on") or (name in LOADING and outside):
                self.found.append(f"{tag} {name}={value}")
            if name == "href" and value and ":" in value:
                self.found.append(f"{tag} {name}={value}")
            if name == "style" and "url(" in (value or "") and "url(#" not in (value or ""):
                self.found.append(f"{tag} {name}={value}")


def suspicious(html: str) -> list[str]:
    parser = Suspicious()
    parser.feed(html)
    return parser.found


def test_the_check_finds_what_it_looks_for() -> None:
    assert suspicious(HOSTILE) == ["script", "img src=https://example.org/x.png"]


def test_page_with_a_hostile_caption_runs_and_loads_nothing(tmp_path: Path) -> None:
    write_results(tmp_path)
    output = tmp_path / "report" / "report.manifest.json"
    job = Job("write-report", {"study": HOSTILE}, "code")
    write_report(job, results=tmp_path, notebooks=[tmp_path / HOSTILE.split("/")[0]], output=output)
    html = (tmp_path / "report/index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(" in html
    assert suspicious(html) == []
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_captions_table_cells_and_alternative_texts_are_escaped() -> None:
    sheet = contact_sheet([CaptionedPicture(b"", f'"{HOSTILE}')]).html
    cells = table("t", HOSTILE, pl.DataFrame({HOSTILE: [HOSTILE]}))._repr_html_()
    assert suspicious(cells) == []
    assert [s for s in suspicious(sheet) if s != "img src="] == []


def test_a_decompression_bomb_is_not_decoded() -> None:
    bomb = io.BytesIO()
    Image.new("1", (5000, 5000)).save(bomb, "PNG")
    assert data_uri(bomb.getvalue()) == ""


@pytest.mark.parametrize("data", [b"", b"<svg onload='alert(1)'/>", b"\x89PNG\r\n\x1a\n broken"])
def test_bytes_that_are_no_picture_give_no_picture(data: bytes) -> None:
    assert data_uri(data) == ""
