"""What two studies share is made once: what is taken, what never is, and what is said of it."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from valm.cli.dry_run import PlannedJob, to_be_taken
from valm.cli.garbage import collect
from valm.cli.sharing import asked_for
from valm.config.study import results_of
from valm.core.atomic import write_text
from valm.core.job import Job
from valm.core.manifest import read_manifest, verify_files
from valm.core.shared import Asked, made_once, offer, offered
from valm.report.describe import describe
from valm.report.results import Results
from valm.report.tables.costs import rule_costs

VERB, TABLE = "build-index", "parts/table.bin"
HEADER = "s\tmax_rss\tcpu_time\n"


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VALM_SHARE", raising=False)


class Verb:
    """A verb that copies its input, and counts how often it works."""

    def __init__(self) -> None:
        self.worked: list[str] = []

    def ask(self, study: str, *, key: int = 1, words: str = "in", seconds: float = 0.0) -> Path:
        """The same job in a study's own folder."""
        folder = results_of(study) / "retrieve"
        source = folder.parent / "embed/in.txt"
        write_text(source, words)
        parent = source.with_name("in.manifest.json")
        Job("embed-pictures", {}, "c0de").finish(parent, kind="vectors", rows=1, files=[source])
        manifest = folder / "exact.manifest.json"
        job = Job(VERB, {"key": key}, "c0de")

        def make() -> None:
            self.worked.append(study)
            time.sleep(seconds)
            write_text(folder / TABLE, f"{words} {key}" * 100)
            job.finish(
                manifest, kind="index", rows=1, files=[folder / TABLE], parents=[parent]
            )  # fmt: skip

        benchmark = results_of(study) / f"benchmarks/build_index/{manifest.name[:5]}.tsv"
        options = {
            "section": [json.dumps(job.section)], "code": [job.code], "vectors": [str(parent)],
            "output": [str(manifest)], "log": [f"logs/{study}/build_index/exact.log"],
        }  # fmt: skip
        asked = asked_for(VERB, options)
        before = len(self.worked)
        if asked is None:
            make()
        else:
            made_once(asked, make)
        seconds_measured = 12.5 if len(self.worked) > before else 0.3
        write_text(benchmark, f"{HEADER}{seconds_measured}\t100\t12.0\n")
        return manifest


@pytest.fixture
def verb() -> Verb:
    return Verb()


def table(manifest: Path) -> Path:
    return manifest.parent / TABLE


def entries() -> list[Path]:
    return sorted(Path("results/shared").rglob("*.json"))


def test_the_same_job_of_another_study_is_not_done_again(verb: Verb) -> None:
    first, second = verb.ask("small"), verb.ask("other")
    assert verb.worked == ["small"]
    assert first.read_bytes() == second.read_bytes()
    assert table(first).samefile(table(second))
    assert verify_files(second).rows == 1


@pytest.mark.parametrize("change", [{"key": 2}, {"words": "other"}])
def test_another_key_or_input_is_another_job(verb: Verb, change: dict[str, object]) -> None:
    verb.ask("small")
    verb.ask("other", **change)  # type: ignore[arg-type]
    assert verb.worked == ["small", "other"]


def test_what_is_written_anew_leaves_the_other_study_s_file_as_it_is(verb: Verb) -> None:
    first, second = verb.ask("small"), verb.ask("other")
    before = table(first).read_bytes()
    verb.ask("other", key=2)
    assert table(first).read_bytes() == before != table(second).read_bytes()


def test_a_damaged_source_is_never_taken(verb: Verb) -> None:
    source = verb.ask("small")
    table(source).write_bytes(table(source).read_bytes()[:-1] + b"?")  # of the same size
    verify_files(verb.ask("other"))
    table(source).unlink()
    verify_files(verb.ask("third", key=1))
    assert verb.worked == ["small", "other"]  # the third took the second's


def test_a_whole_result_is_found_behind_a_damaged_one(verb: Verb) -> None:
    first, second = verb.ask("a"), verb.ask("b")
    table(first).unlink()
    write_text(table(first), "damaged")
    verb.ask("c")
    assert verb.worked == ["a"]
    assert Results(results_of("c")).made_by_others() == {"retrieve/exact": "a"}
    assert verify_files(second)


@pytest.mark.parametrize(
    "forged",
    [
        {"manifest": "studies/a/embed/in.manifest.json"},
        {"manifest": "../../outside.manifest.json"},
        {"digest": "0" * 16},
        {"more": "than it may say"},
    ],
)
def test_a_forged_entry_is_never_taken(verb: Verb, forged: dict[str, str]) -> None:
    verb.ask("a")
    (file,) = entries()
    entry = json.loads(file.read_text()) | forged
    if forged.get("manifest", "").startswith("studies"):
        entry["digest"] = read_manifest(Path("results") / entry["manifest"]).digest
    file.write_text(json.dumps(entry))
    verify_files(verb.ask("b"))
    assert verb.worked == ["a", "b"]


def test_a_file_name_that_leads_out_is_never_taken(verb: Verb) -> None:
    source = verb.ask("a")
    (file,) = entries()
    made = json.loads(source.read_text())
    made["files"] = {"../../../../stolen.bin": made["files"][TABLE]}
    source.write_text(json.dumps(made))
    digest = read_manifest(source).digest
    file.write_text(json.dumps(json.loads(file.read_text()) | {"digest": digest}))
    verb.ask("b")
    assert verb.worked == ["a", "b"]
    assert not list(Path().rglob("stolen.bin"))


@pytest.mark.parametrize("cached", ["read-only", "link"])
def test_files_of_dvc_s_cache_are_copied(verb: Verb, cached: str) -> None:
    first = verb.ask("small")
    file = table(first)
    if cached == "link":
        file.rename("cache.bin")
        file.symlink_to(Path("cache.bin").resolve())
    else:
        file.chmod(0o444)
    second = verb.ask("other")
    assert verb.worked == ["small"]
    assert not table(second).samefile(file) and not table(second).is_symlink()
    table(second).write_bytes(b"ours")
    verify_files(first)


def test_two_studies_at_once_do_the_work_once(verb: Verb) -> None:
    asking = [
        threading.Thread(target=verb.ask, args=(name,), kwargs={"seconds": 0.5}) for name in "abc"
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert len(verb.worked) == 1
    for name in "abc":
        verify_files(results_of(name) / "retrieve/exact.manifest.json")


def test_a_job_that_failed_offers_nothing(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("the machine is on fire")

    with monkeypatch.context() as patched, pytest.raises(OSError, match="on fire"):
        patched.setattr(Job, "finish", fail)
        verb.ask("a")  # its input fails
    assert entries() == []


def test_what_is_always_done_tells_what_comes_out(verb: Verb) -> None:
    done: list[str] = []

    def fetched(study: str) -> Asked:
        output = results_of(study) / "ingest/emoji.manifest.json"
        words = {"output": str(output), "log": f"logs/{study}/fetch_source/emoji.log"}
        asked = asked_for("fetch-source", options(**words))
        assert asked

        def make() -> None:
            done.append(study)
            Job("fetch-source", {}, "c").finish(output, kind="source", rows=1, files=[])

        made_once(asked, make)
        return asked

    first, second = fetched("a"), fetched("b")
    assert done == ["a", "b"]
    (known,) = offered(second)
    assert known[0].digest == read_manifest(Path("results") / first.manifest).digest
    assert Results(results_of("b")).made_by_others() == {}


def test_a_plan_knows_what_will_be_taken_before_its_inputs_are_there() -> None:
    def planned(study: str, verb: str, name: str, **more: str) -> PlannedJob:
        output = results_of(study) / f"{name}.manifest.json"
        words = {"output": str(output), "log": f"logs/{study}/{name}.log"} | more
        return PlannedJob("", "", verb, options(**words))

    def jobs(study: str, key: int = 1) -> list[PlannedJob]:
        fetched = planned(study, "fetch-source", "emoji")
        index = planned(study, VERB, "index", raw=str(fetched.output), section=f'{{"key": {key}}}')
        shown = planned(study, "show-pictures", "shown", index=str(index.output))
        return [fetched, index, shown]

    parents: list[Path] = []
    for job in jobs("a"):
        asked = job.asked()
        assert asked
        Job(job.verb, job.section, "c").finish(
            job.output, kind="k", rows=1, files=[], parents=parents
        )
        offer(asked)
        parents = [job.output]
    _, index, shown = jobs("b")
    assert set(to_be_taken(jobs("b"))) == {index.output, shown.output}
    assert to_be_taken(jobs("b", key=2)) == {}
    assert not results_of("b").exists()


def test_a_history_that_no_manifest_names_is_taken_too(tmp_path: Path) -> None:
    done: list[str] = []

    def train(study: str, *, history: bool = True) -> Path:
        output = results_of(study) / "train/valm/seed1/model.manifest.json"
        words = {"output": str(output), "log": f"logs/{study}/train_model/valm/seed1.log"}
        asked = asked_for("train-model", options(**words))
        assert asked

        def make() -> None:
            done.append(study)
            write_text(output.with_name("model.bin"), "weights")
            if history:
                write_text(output.with_name("metrics.jsonl"), f"seconds of {study}")
            files = [output.with_name("model.bin")]
            Job("train-model", {}, "c").finish(output, kind="model", rows=1, files=files)

        made_once(asked, make)
        return output.with_name("metrics.jsonl")

    train("none", history=False)
    assert train("a").read_text() == train("b").read_text() == "seconds of a"
    assert done == ["none", "a"]
    history = results_of("a") / "train/valm/seed1/metrics.jsonl"
    history.unlink()
    history.write_text("seconds of x")
    assert train("c").read_text() == "seconds of a"  # b has it still


def test_it_can_be_switched_off(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    verb.ask("a")
    monkeypatch.setenv("VALM_SHARE", "0")
    verb.ask("b")
    assert verb.worked == ["a", "b"] and len(entries()) == 1


def options(**changed: str) -> dict[str, list[str]]:
    whole = {"section": "{}", "code": "c", "output": "results/i.manifest.json"}
    return {n: [v] for n, v in (whole | {"log": "logs/small/r/i.log"} | changed).items() if v}


def test_what_is_done_where_it_is_asked(tmp_path: Path) -> None:
    Path("pictures").mkdir()
    assert asked_for(VERB, options())
    for otherwise in (
        {"section": ""},  # by hand
        {"output": str(tmp_path / "results/i.manifest.json")},
        {"output": "results/studies/b/i.manifest.json", "log": "logs/a/r/i.log"},
        {"results": "pictures"},  # a folder may hold anything
        {"section": '{"ingest.pictures.params": {"picture_folder": {"folder": "pictures"}}}'},
        {"section": '{"train": {"devices": {"nodes": 1, "per_node": 2}}}'},
    ):
        assert asked_for(VERB, options(**otherwise)) is None, otherwise
    assert asked_for("write-report", options()) is None
    fetched = asked_for("fetch-source", options(data="pictures"))
    assert fetched and fetched.always_done


def test_a_file_of_the_user_s_counts_as_it_is_now() -> None:
    text = Path("text.txt")
    section = '{"ingest.text.params": {"cc100": {"files": ["text.txt"]}}}'
    prints = set()
    for words in (None, "short", "longer"):
        if words:
            text.write_text(words)
        asked = asked_for("write-text", options(section=section))
        assert asked
        prints.add(asked.fingerprint)
    assert len(prints) == 3


def test_costs_are_those_of_the_study_that_did_the_work(verb: Verb) -> None:
    verb.ask("small")
    verb.ask("other")
    (row,) = rule_costs(Results(results_of("other")).benchmarks()).to_dicts()
    assert (row["seconds"], row["jobs"], row["taken"]) == (12.5, 1, 1)
    (own,) = rule_costs(Results(results_of("small")).benchmarks()).to_dicts()
    assert (own["seconds"], own["taken"]) == (12.5, 0)
    assert "made by the study small" in describe(results_of("other"))
    assert "made by" not in describe(results_of("small"))
    (results_of("small") / "benchmarks/build_index/exact.tsv").unlink()
    (row,) = Results(results_of("other")).benchmarks().to_dicts()
    assert (row["s"], row["made_by"]) == (None, "small")


def test_gc_clears_entries_that_lead_nowhere(verb: Verb) -> None:
    root = Path(__file__).parents[2]
    Path("config.yaml").symlink_to(root / "config.yaml")

    def stale() -> dict[str, str]:
        found = {g.path.as_posix(): g.why for g in collect([Path("config.yaml")])}
        return {path: why for path, why in found.items() if path.startswith("results/shared")}

    first = verb.ask("small")
    second = verb.ask("other")
    assert stale() == {}
    verb.ask("small", key=2)
    (gone,) = [e.as_posix() for e in entries() if e.stem == "small" and _offers(e, second)]
    assert stale() == {gone: "the result that it offers is gone or another"}
    second.unlink()
    assert list(stale().values()) == ["no study has what it offers"]
    assert first.is_file()


def _offers(entry: Path, manifest: Path) -> bool:
    digest = read_manifest(manifest).digest
    return bool(json.loads(entry.read_text())["digest"] == digest)
