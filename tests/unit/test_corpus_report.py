"""What the report says of captions and of the web's text and pictures: every count, in its place."""

import json
from pathlib import Path

import polars as pl
import pytest
from builders.results import write_results
from builders.web_texts import made_documents, packed_documents, write_web_text

from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.report.chapters import ingest
from valm.report.exhibits import Table
from valm.report.figures.corpus import caption_figure, web_rows


def test_captions_are_counted_by_length_colour_and_thing() -> None:
    figure = caption_figure(["a red banana", "a RED, red boat on the sea", "word " * 50])
    assert "3 captions; the median has 7 words, the longest 50" in figure.caption
    assert "66.7 % say a colour, 66.7 % one of the 2 things" in figure.caption
    assert ">red<" in figure.svg and ">banana<" in figure.svg and ">blue<" not in figure.svg


def test_every_outcome_of_the_web_has_its_row_and_they_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))
    good = "The old boat lies near the river, and nobody has painted it since last summer ended."
    documents = [*made_documents(50), "short", "short", good, good]
    file = packed_documents(tmp_path / "en.xz", documents)
    text = write_web_text(
        tmp_path, file, filters={"minimum_words": 3, "language": "en"}, duplicates="exact"
    )
    facts = {"source": "laion", "shards": 1, "listed": 10, "lost": {"gone": 3, "too_slow": 1},
             "rejected": {"too_small": 1}, "licences": {}}  # fmt: skip
    pictures = tmp_path / "pictures.manifest.json"
    Job("gather-pictures", {}, "c0de").finish(
        pictures, kind="picture_shards", rows=5, files=[], facts=facts
    )
    urls = tmp_path / "urls.manifest.json"
    facts = {"source": "laion", "read": 17, "left_out": {"no_caption": 3, "not_utf8": 4}}
    Job("list-urls", {}, "c0de").finish(urls, kind="url_list", rows=10, files=[], facts=facts)
    overlap = [{"task": "mpqa", "items": 4, "touched_items": 1, "training_documents": 2}]
    frame = web_rows(
        {"cc100": read_manifest(text)},
        {"LAION's metadata": read_manifest(urls)},
        {"laion": read_manifest(pictures)},
        overlap,
    )
    for source, in_all in (
        ("cc100", "read"),
        ("LAION's metadata", "rows of metadata"),
        ("laion", "addresses"),
    ):
        own = frame.filter(
            (pl.col("source") == source) & ~pl.col("outcome").str.starts_with("language")
        )
        (total,) = own.filter(pl.col("outcome") == in_all)["count"]
        assert own.filter(pl.col("outcome") != in_all)["count"].sum() == total
    counts = {(row["source"], row["outcome"]): row["count"] for row in frame.to_dicts()}
    assert counts["cc100", "left out: too few words"] == 2
    assert counts["LAION's metadata", "left out: not utf8"] == 4
    assert counts["cc100", "repeat: exact"] >= 1 and counts["laion", "lost: gone"] == 3
    assert counts["training text", "items of mpqa that it shares"] == 1


def test_the_notebook_shows_them_and_says_where_a_study_has_none(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results")
    assert "captions" in ingest.captions(results).caption  # type: ignore[union-attr]
    assert "no source of web text" in ingest.web(results)._repr_html_()
    overlap = [{"task": "mpqa", "items": 4, "touched_items": 1, "training_documents": 2}]
    write_json(results / "ingest" / "tokens" / "overlap.json", overlap)
    shown = ingest.web(results)
    assert isinstance(shown, Table) and "share 13 words with mpqa" in shown.html


def test_the_text_table_says_what_decontamination_left_out(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results")
    assert "Left out" not in ingest.text(results).caption  # type: ignore[union-attr]
    made = results / "ingest" / "tokens" / "tokens.manifest.json"
    manifest = json.loads(made.read_text())
    manifest["facts"]["decontaminated"] = 5
    write_json(made, manifest)
    assert "evaluation sets: 5 documents" in ingest.text(results).caption  # type: ignore[union-attr]
