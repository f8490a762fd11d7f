"""What can go: work that is finished, that nothing can go on from, half-written files of dead writers."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from valm.cli.garbage import collect, print_and_remove
from valm.config.study import Study
from valm.config.verbs import section_for
from valm.core.fingerprint import module_digests
from valm.core.job import Job
from valm.core.manifest import read_manifest

ROOT = Path(__file__).parents[2]
CONFIG = [Path("config.yaml")]


@pytest.fixture(autouse=True)
def in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VALM_WORK", raising=False)
    shutil.copy2(ROOT / "config.yaml", "config.yaml")
    shutil.copytree(ROOT / "config", "config")


def write_tokens(**changed: object) -> Job:
    section = section_for(Study(), "write-tokens") | changed
    modules = module_digests(["valm.core.seeding"])
    return Job("write-tokens", section, "c0de", modules=modules)


def parent(words: str) -> Path:
    """An input of all jobs here."""
    data = Path("results/ingest/text/brown.txt")
    data.parent.mkdir(parents=True, exist_ok=True)
    data.write_text(words)
    manifest = data.with_name("brown.manifest.json")
    Job("write-text", {}, "c0de").finish(manifest, kind="text", rows=1, files=[data])
    return manifest


def killed(job: Job, text: Path) -> Path:
    """The work directory of a job that was killed half-way."""
    with job.work([text]) as work:
        (work / "half.bin").write_bytes(bytes(1_500_000))
    return work


def reasons() -> dict[str, str]:
    return {garbage.path.as_posix(): garbage.why for garbage in collect(CONFIG)}


def test_what_can_be_gone_on_from_stays() -> None:
    killed(write_tokens(), parent("a"))
    tiny = section_for(
        Study.model_validate({"ingest": {"tokenizer": {"vocabulary_size": 600}}}), "write-tokens"
    )
    killed(Job("write-tokens", tiny, "c0de"), parent("a"))
    assert reasons() == {}


def test_each_kind_of_garbage_has_its_reason() -> None:
    old_input = killed(write_tokens(), parent("a"))
    text = parent("b")
    killed(write_tokens(), text)  # stays
    other_settings = killed(write_tokens(seed=77), text)
    gone = Job("write-tokens", write_tokens().section, "01d", modules={"valm.core.seeding": "0"})
    old_code = killed(gone, text)
    finished = Job("write-tokens", write_tokens().section, "d0ne")
    done = killed(finished, text)
    finished.finish(Path("results/t.manifest.json"), kind="t", rows=0, files=[], parents=[text])
    half = Path("results/ingest/.shard.tar.999999999.part")
    half.write_bytes(b"x")
    being_written = Path(f"results/ingest/.shard.tar.{os.getpid()}.part")
    being_written.write_bytes(b"x")
    assert reasons() == {
        old_input.as_posix(): "its input results/ingest/text/brown.manifest.json is another now",
        other_settings.as_posix(): "no study asks for it with these settings",
        old_code.as_posix(): "valm.core.seeding has changed",
        done.as_posix(): "its result is finished",
        half.as_posix(): "its writer is gone",
    }


def test_it_says_first_and_clears_when_told_but_never_what_is_held(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = parent("a")
    stale, held = write_tokens(seed=77), write_tokens(seed=78)
    folder = killed(stale, text)
    with held.work([text]) as busy:
        print_and_remove(collect(CONFIG), yes=False)
        said = capsys.readouterr().out
        assert "this would free 1.5 MB -> valm gc --yes" in said and folder.is_dir()
        print_and_remove(collect(CONFIG), yes=True)
        said = capsys.readouterr().out
        assert "freed 1.5 MB" in said and "a job works there now" in said
        assert not folder.exists() and busy.is_dir()
    assert read_manifest(text).rows == 1
    print_and_remove(collect(CONFIG), yes=True)
    capsys.readouterr()
    print_and_remove(collect(CONFIG), yes=True)
    assert capsys.readouterr().out == "nothing is stale\n"
