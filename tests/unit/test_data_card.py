"""The data card: every count from a manifest, as a page and as Markdown that quotes no markup."""

from pathlib import Path

import pytest
from builders.results import write_results

from valm.core.atomic import write_json
from valm.core.job import Job
from valm.core.manifest import read_manifest
from valm.report.pages.data_card import DataCard, data_card


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_results(tmp_path_factory.mktemp("study") / "results")


@pytest.fixture(scope="module")
def card(results: Path) -> DataCard:
    return data_card(results, "small")


def lines_of(card: DataCard, start: str) -> list[str]:
    return [line for line in card.markdown.splitlines() if line.startswith(f"| {start} |")]


def test_sources_licences_and_what_was_kept_are_those_of_the_manifests(card: DataCard) -> None:
    assert "| MIT | 15.8 MB | used |" in lines_of(card, "fluent_emoji")[0]
    assert "GPL-2" in lines_of(card, "tuxpaint_stamps")[0]
    assert "no apt-get on this machine" in lines_of(card, "tuxpaint_stamps")[0]
    (pictures,) = lines_of(card, "Google emoji")
    assert "| 12 | 3 | too large: 2; not a picture: 1 | 1 | 11 | MIT |" in pictures
    assert "no link can rot" in card.markdown and "No language filter ran" in card.markdown


def test_digests_are_those_of_the_manifests(results: Path, card: DataCard) -> None:
    for name in ("ingest/pictures/list", "ingest/tokens/tokens"):
        assert read_manifest(results / f"{name}.manifest.json").digest in lines_of(card, name)[0]


def test_link_rot_languages_retractions_and_leakage_are_counted(tmp_path: Path) -> None:
    results = write_results(tmp_path / "results")

    def made(name: str, kind: str, rows: int, **facts: object) -> None:
        output = results / f"{name}.manifest.json"
        output.parent.mkdir(parents=True, exist_ok=True)
        Job("by-hand", {}, "c0de").finish(output, kind=kind, rows=rows, files=[], facts=facts)

    made("ingest/pictures/laion/pictures", "picture_shards", 60, listed=100, lost={"gone": 25, "refused": 15}, rejected={})  # fmt: skip
    counts = {"read": 9, "kept": 5, "not_sampled": 0, "damaged": {}, "left_out": {"language": 4}, "repeats": {}}  # fmt: skip
    made("ingest/text/cc100", "text", 5, counts=counts | {"languages": {"de": 4, "en": 5}})
    made("ingest/pictures/retracted", "retracted", 2)
    audit = {"captions": [{"task": "colour", "item": "a", "answer": "red", "picture": 0, "caption": ""}], "texts": [{"task": "colour", "items": 48, "found": 3}]}  # fmt: skip
    write_json(results / "evaluate/leakage.json", audit)
    said = data_card(results, "small").markdown
    assert "Of 100 addresses 40 gave no picture (40.0 %)" in said
    assert "by language: en 5, de 4." in said and "| left out: language | 4 |" in said
    assert "2 of them has been taken down" not in said and "2 of them have been taken down" in said
    assert "| colour | 48 | 1 | 3 |" in said


def test_nothing_from_outside_is_read_as_markup(tmp_path: Path) -> None:
    results = tmp_path / "results"
    output = results / "ingest/sources/wild.manifest.json"
    output.parent.mkdir(parents=True)
    licence = "<script>x</script> | [a](javascript:b) ![c](https://example.org/x.png)"
    facts = {"available": True, "reason": None, "licence": licence, "bytes": 1, "holds": "", "origin": ""}  # fmt: skip
    Job("by-hand", {}, "c0de").finish(output, kind="source", rows=1, files=[], facts=facts)
    card = data_card(results, "small")
    assert "<script" not in card.page and "<script" not in card.markdown
    assert "](javascript" not in card.markdown and "](https" not in card.markdown
    assert "\\| [a]" in card.markdown


def test_an_empty_study_has_a_card_that_says_so(tmp_path: Path) -> None:
    card = data_card(tmp_path, "small")
    assert "no list of pictures" in card.markdown and "This study has no" in card.page
