"""The verbs of evaluate from a tiny study's files to its score tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from builders.evaluation import DRAWN, STUDY, TinyStudy
from builders.retrieval import retrieve_job, write_index, write_retracted

from valm.config.retrieve import Query
from valm.core.manifest import read_manifest
from valm.errors import ConfigError, InputError
from valm.evaluate.answers import answering
from valm.evaluate.answers.illustrate import TaskPictures
from valm.evaluate.questions.definitions import TASKS
from valm.evaluate.questions.own_pictures import PicturesByName
from valm.evaluate.questions.prepared import read_requests, read_texts
from valm.ingest.text.tokens import TokenStream
from valm.ingest.vocabulary.tokenizer import load_tokenizer
from valm.retrieve.given import Given, give
from valm.retrieve.index import Searcher
from valm.retrieve.neighbours import Neighbours, look_up
from valm.retrieve.queries import token_states


@pytest.fixture
def study(tmp_path: Path) -> TinyStudy:
    return TinyStudy(tmp_path)


def test_a_passage_gets_the_pictures_that_it_has_in_the_token_stream(study: TinyStudy) -> None:
    request = study.prepare("held_out_text")
    requests, _ = read_requests(request)
    pictures = TaskPictures.read(study.illustrate("held_out_text", request))
    stream = TokenStream.open(study.tokens, "test")
    query = Query.model_validate(STUDY["retrieve"]["presets"][0]["query"])
    states = next(iter(token_states(study.fake, stream.tokens, stream.documents, query)))
    expected = Neighbours.of(states, Searcher(study.vectors, study.index), 3)
    inside = np.ones(len(requests.tokens), bool)
    inside[requests.offsets[:-1]] = False  # the end of text in front of each passage
    np.testing.assert_array_equal(requests.tokens[inside], stream.tokens)
    np.testing.assert_array_equal(pictures.ids[inside], expected.ids)
    np.testing.assert_array_equal(pictures.values[inside], expected.values)
    end = load_tokenizer(study.tokenizer).end_of_text
    assert set(requests.tokens[~inside].tolist()) == {end}


def test_from_requests_to_tables(study: TinyStudy) -> None:
    requests = {task: study.prepare(task) for task in ("shape", "held_out_text")}
    predictions = [
        study.evaluate(model, fusion, task, request)
        for model, fusion in (("gpt2_star", "none"), ("valm", "joint"))
        for task, request in requests.items()
    ]
    tables = study.score(predictions, list(requests.values()))
    scores = tables["scores"]
    rivals = set(scores.select("model", "control").unique().iter_rows())
    controls = ("own", "permuted", "zero", "none", "oracle")
    assert rivals == {("gpt2_star", "own")} | {("valm", control) for control in controls}
    corrected = scores.filter(definition="corrected", seed=-1, status="measured")
    assert json.loads((study.folder / "metrics.json").read_text(encoding="utf-8")) == {
        task: {
            metric: {
                model if control == "own" else f"{model}:{control}": value
                for model, control, value in of_metric.select("model", "control", "value").rows()
            }
            for (metric,), of_metric in of_task.group_by("metric")
        }
        for (task,), of_task in corrected.group_by("task")
    }
    assert set(scores["seed"]) == {-1, 1, 2}
    assert scores["value"].is_between(scores["low"] - 1e-9, scores["high"] + 1e-9).all()
    # An untrained model knows about as much as a uniform one.
    perplexity = scores.filter((pl.col("metric") == "perplexity") & (pl.col("seed") == -1))
    vocabulary = load_tokenizer(study.tokenizer).vocabulary_size
    legacy = perplexity.filter(pl.col("definition") == "legacy")["value"]
    assert legacy.is_between(vocabulary / 3, vocabulary * 3).all()
    pairs = set(tables["comparisons"].select("second_model", "second_control").iter_rows())
    assert pairs == {("gpt2_star", "own"), ("valm", "permuted")}
    assert (tables["comparisons"]["p_holm"] >= tables["comparisons"]["p"]).all()
    by_prompt = tables["per_prompt"].filter(pl.col("definition") == "legacy")
    assert by_prompt["prompt"].n_unique() == 5
    shape = scores.filter((pl.col("task") == "shape") & (pl.col("definition") == "legacy"))
    for row in shape.filter(pl.col("seed") != -1).to_dicts():
        same = {name: row[name] for name in ("model", "control", "seed")}
        assert by_prompt.filter(**same)["value"].mean() == pytest.approx(row["value"])


def test_the_same_inputs_give_the_same_bytes(study: TinyStudy) -> None:
    request = study.prepare("shape")
    first = study.evaluate("valm", "joint", "shape", request)
    before = first.read_bytes(), request.read_bytes()
    assert (study.evaluate("valm", "joint", "shape", study.prepare("shape")).read_bytes(),
            request.read_bytes()) == before  # fmt: skip


def test_a_task_whose_data_is_missing_is_told_of_to_the_end(study: TinyStudy) -> None:
    raw = study.folder / "memory_color.manifest.json"
    facts = {"available": False, "reason": "no net and no mirror", "path": "data/x.csv"}
    retrieve_job("find-neighbours").finish(raw, kind="source", rows=0, files=[], facts=facts)
    request = study.prepare("memory_color", [raw])
    assert read_manifest(request).facts["status"] == "unavailable"
    prediction = study.evaluate("valm", "joint", "memory_color", request)
    assert prediction.with_name("memory_color.parquet").is_file()
    tables = study.score([prediction], [request])
    assert set(tables["scores"]["status"]) == {"unavailable"}
    assert set(tables["scores"]["note"]) == {"no net and no mirror"}
    assert tables["scores"]["value"].is_null().all()
    assert tables["comparisons"].is_empty() and tables["per_prompt"].is_empty()


def test_the_oracle_shows_the_things_own_pictures_and_else_what_was_retrieved(
    study: TinyStudy,
) -> None:
    request = study.prepare("relative_size")  # of a tower, an apple, a cup and a horse
    requests, items = read_requests(request)
    manifest = study.illustrate("relative_size", request)
    pictures = TaskPictures.read(manifest)
    assert read_manifest(manifest).facts["items_with_own"] == 2
    tower = [n for n, picture in enumerate(DRAWN) if picture.name == "tower"]
    for text, item in enumerate(items["item"]):
        tokens = slice(*requests.offsets[text : text + 2])
        if "tower" in item:
            assert (pictures.own[tokens] == [*tower, -1, -1]).all()
        else:
            np.testing.assert_array_equal(pictures.own[tokens], pictures.ids[tokens])


def test_no_control_shows_a_picture_that_was_taken_down(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, shown = [0, 11, 29], []

    def watched(control: str, *inputs: Any) -> Given:
        given = give(control, *inputs)
        shown.extend([] if given.ids is None else np.unique(given.ids[given.mask]).tolist())
        return given

    retracted = write_retracted(study.folder, gone)
    study.index = write_index(study.folder / "less", study.vectors, retracted=retracted)
    monkeypatch.setattr(answering, "give", watched)
    request = study.prepare("held_out_text")
    answers = study.evaluate("valm", "joint", "held_out_text", request, retracted)
    assert set(shown) == set(range(30)) - set(gone)
    assert read_manifest(retracted).digest in read_manifest(answers).parents.values()


def test_things_are_named_in_singular_and_plural(study: TinyStudy) -> None:
    named = PicturesByName(study.pictures)
    assert named.of("Frog") == named.of("frogs") == [1]
    assert named.of("plums") == [0]
    assert named.of("tree frog") == named.of("") == []


def test_a_study_may_ask_more_or_fewer_items_than_a_task_would(study: TinyStudy) -> None:
    few = study.prepare("shape", samples={"shape": 7})
    requests, items = read_requests(few)
    assert items.filter(pl.col("answer") >= 0)["item"].n_unique() == 7
    assert (items["answer"] < 0).sum() == 15  # the content-free questions stay
    assert read_manifest(few).facts["items"] == 7 and len(requests) == 7 * 5 + 15
    every = read_requests(study.prepare("shape", samples={"shape": None}))[1]
    assert every["item"].n_unique() > 50


def test_a_study_may_read_more_or_fewer_words_and_its_result_says_so(study: TinyStudy) -> None:
    def read(words: int | None) -> tuple[dict[str, str], list[int]]:
        manifest = study.prepare("topic", words={"topic": words})
        notes = {d["definition"]: d["text"] for d in read_manifest(manifest).facts["definitions"]}
        return notes, [len(text.split()) - 2 for text in read_texts(manifest)[1:]]

    notes, lengths = read(4)
    assert set(lengths) == {4}
    assert all(text.endswith("The first 4 words of each text.") for text in notes.values())
    notes, lengths = read(None)
    assert min(lengths) > 9
    assert not any("words of each" in text for text in notes.values())
    with pytest.raises(ConfigError, match="no texts of which") as caught:
        study.prepare("shape", words={"shape": 4})
    assert caught.value.where == "evaluate.words"


def test_what_is_asked_twice_gets_one_answer(study: TinyStudy) -> None:
    """Official and intended prompts of one size pair are the same texts."""
    request = study.prepare("relative_size")
    texts = read_texts(request)
    manifest = study.evaluate("valm", "joint", "relative_size", request)
    answers = pl.read_parquet(manifest.with_name("relative_size.parquet"))
    answers = answers.filter(control="own", seed=1).with_columns(text=pl.Series(texts))
    said = answers.group_by("text").agg(pl.col("choice_0", "choice_1").n_unique(), pl.len())
    assert said["len"].max() == 2 and said["choice_0"].max() == said["choice_1"].max() == 1


def test_equal_texts_are_looked_up_once(study: TinyStudy) -> None:
    searcher = Searcher(study.vectors, study.index)
    query = Query.model_validate(STUDY["retrieve"]["presets"][0]["query"])
    texts = [[5, 6, 7], [8, 9], [5, 6, 7], [5, 6]]
    found = look_up(texts, study.fake, searcher, query, 3)
    windows = study.fake.windows
    assert [len(one.ids) for one in found] == [3, 2, 3, 2]
    alone = [look_up([text], study.fake, searcher, query, 3)[0] for text in texts]
    assert study.fake.windows - windows == windows + 1
    for one, other in zip(found, alone, strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.values, other.values)


def test_a_part_that_a_sample_leaves_out_has_no_row(study: TinyStudy) -> None:
    request = study.prepare("colour", samples={"colour": 2})
    scores = study.score([study.evaluate("gpt2_star", "none", "colour", request)], [request])[
        "scores"
    ]
    asked = set(read_requests(request)[1].filter(pl.col("answer") >= 0)["part"])
    assert len(asked) == 1
    assert set(scores["metric"]) == {"accuracy_dev" if asked == {"dev"} else "accuracy"}


def test_spreads_are_those_of_seeds_and_prompts(study: TinyStudy) -> None:
    request = study.prepare("shape")
    tables = study.score([study.evaluate("valm", "joint", "shape", request)], [request])
    own = tables["scores"].filter(control="own", definition="legacy")
    by_prompt = tables["per_prompt"].filter(control="own", definition="legacy")
    row = own.filter(seed=-1).to_dicts()[0]
    assert row["seed_spread"] == pytest.approx(own.filter(pl.col("seed") > 0)["value"].std())
    means = by_prompt.group_by("prompt").agg(pl.col("value").mean())
    assert row["prompt_spread"] == pytest.approx(means["value"].std())
    assert own.filter(pl.col("seed") > 0)["seed_spread"].is_null().all()


def test_a_part_is_read_in_the_contexts_of_its_own_metrics_only(study: TinyStudy) -> None:
    request = study.prepare("wikitext103")
    answers = pl.read_parquet(
        study.evaluate("gpt2_star", "none", "wikitext103", request).with_name("wikitext103.parquet")
    )
    read = set(answers.select("part", "context").unique().iter_rows())
    assert read == {("paragraphs", "alone"), ("", "sliding")}
    assert (answers["nats"] > 0).all()


def test_an_answer_without_tokens_is_an_error_of_its_task(
    study: TinyStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TASKS.get("sst2"), "choices", ("negative", "\t "))
    with pytest.raises(InputError, match="has no tokens") as caught:
        study.prepare("sst2")
    assert re.search(r"evaluate/tasks/sst2\.py:\d+$", str(caught.value.where))
