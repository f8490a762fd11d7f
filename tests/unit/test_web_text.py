"""Web text in parts: the same documents whatever the parts, counts that add up, flat memory, no repeats."""

import os
import signal
import subprocess
import sys
import time
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders.texts import make_tokenizer, make_tokens, text_job
from builders.web_texts import made_documents, packed_documents, write_web_file, write_web_text

from valm.core.manifest import Manifest, read_manifest
from valm.errors import ConfigError
from valm.ingest.text import web_text
from valm.ingest.text.documents import read_documents
from valm.ingest.text.filters import Filters, why_left_out
from valm.ingest.text.repeated_texts import near_signature, repeated_documents
from valm.ingest.text.tokens import TokenStream, write_tokens


@pytest.fixture(autouse=True)
def own_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALM_WORK", str(tmp_path / "work"))


def documents_of(manifest: Path) -> list[str]:
    return list(read_documents(manifest.with_name("cc100.txt.xz")))


def accounted(made: Manifest) -> dict[str, Any]:
    """The counts of a manifest, after seeing that they add up."""
    counts: dict[str, Any] = made.facts["counts"]
    reasons = [
        count for name in ("damaged", "left_out", "repeats") for count in counts[name].values()
    ]
    assert counts["read"] == counts["not_sampled"] + counts["kept"] + sum(reasons)
    return counts


@pytest.mark.parametrize("ending", ["xz", "gz", "txt"])
@pytest.mark.parametrize("part_bytes", [700, 9_000, 1 << 20])
def test_documents_are_the_same_whatever_the_packing_and_the_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, part_bytes: int
) -> None:
    monkeypatch.setattr(web_text, "PART_BYTES", part_bytes)
    wanted = made_documents(60)
    manifest = write_web_text(tmp_path, packed_documents(tmp_path / f"en.{ending}", wanted))
    assert documents_of(manifest) == wanted
    assert accounted(read_manifest(manifest))["kept"] == read_manifest(manifest).rows == 60


def test_every_filter_leaves_out_what_it_says_and_all_are_counted(tmp_path: Path) -> None:
    good = "The old boat lies near the river, and nobody has painted it since last summer ended."
    odd = {
        "too_few_words": "Only three words",
        "too_many_words": " ".join(f"word{n}" for n in range(90)),
        "repeats_itself": "buy now\n" * 8 + "and never come back here again",
        "other_language": "Das alte Boot liegt am Fluss, und niemand hat es seit dem Sommer gestrichen.",
        "empty": "\u200b\u200b",
    }
    file = packed_documents(tmp_path / "en.xz", [good, *odd.values(), good.upper()])
    filters = {"minimum_words": 5, "maximum_words": 60, "language": "en", "repetition": True}
    manifest = write_web_text(tmp_path, file, filters=filters, duplicates="exact")
    counts = accounted(read_manifest(manifest))
    assert documents_of(manifest) == [good]
    assert counts["left_out"] == dict.fromkeys(sorted(odd), 1) and counts["repeats"] == {"exact": 1}
    assert counts["languages"] == {"de": 1, "en": 2}


def test_a_phrase_said_over_and_over_is_repetition() -> None:
    text = "so cheap so good " * 12 + "and a few other words stand at the end of it"
    assert why_left_out(text, Filters(repetition=True), None) == "repeats_itself"  # type: ignore[arg-type]
    for document in made_documents(20):
        assert why_left_out(document, Filters(repetition=False), None) is None  # type: ignore[arg-type]


def test_near_repeats_of_an_earlier_document_go_and_others_stay(tmp_path: Path) -> None:
    draw = np.random.default_rng(3)
    originals = [
        " ".join(f"w{word}" for word in draw.integers(0, 400, size=150)) for _ in range(40)
    ]
    edited = [text.replace(text.split()[75], "changed", 1) for text in originals]
    half = [" ".join(text.split()[:75]) + " " + "other " * 75 for text in originals[:5]]
    file = packed_documents(tmp_path / "en.xz", [*originals, *edited, *half, originals[0]])
    manifest = write_web_text(tmp_path, file, duplicates="near")
    counts = accounted(read_manifest(manifest))
    assert counts["repeats"] == {"exact": 1, "near": 40}
    assert documents_of(manifest)[:40] == originals and counts["kept"] == 45


def test_signatures_collide_as_often_as_the_formula_says() -> None:
    draw = np.random.default_rng(4)
    pairs, expected = [], []
    for _ in range(150):
        words = [f"w{n}" for n in draw.integers(0, 9999, 120)]
        changed = list(words)
        changed[60 : 60 + draw.integers(1, 30)] = ["x"] * 3
        sets = [
            {" ".join(text[n : n + 5]) for n in range(len(text) - 4)} for text in (words, changed)
        ]
        similarity = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
        expected.append(1 - (1 - similarity**8) ** 14)
        signatures = [near_signature(" ".join(text)) for text in (words, changed)]
        pairs.append(bool((signatures[0][1:] == signatures[1][1:]).any()))
    spread = np.sqrt(np.mean(expected) * (1 - np.mean(expected)) / len(pairs))
    assert abs(np.mean(pairs) - np.mean(expected)) < 4 * spread + 0.01


@pytest.mark.parametrize("documents_per_slice", [3, 10_000])
def test_slices_find_what_a_look_at_all_pairs_finds(
    tmp_path: Path, documents_per_slice: int
) -> None:
    draw = np.random.default_rng(5)
    signatures = draw.integers(0, 2**64, (4, 50), dtype=np.uint64) & np.uint64(0xF << 60)
    signatures[:, 7] = 2**64 - 1
    signatures[:, 9] = 2**64 - 1
    files = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for file, columns in zip(files, (signatures[:, :20], signatures[:, 20:]), strict=True):
        np.save(file, columns)
    exact, near = np.zeros(50, bool), np.zeros(50, bool)
    for early, late in combinations(range(50), 2):
        same = signatures[:, early] == signatures[:, late]
        exact[late] |= same[0]
        near[late] |= same[1:].any()
    found = repeated_documents(files, documents_per_slice)
    assert (found[0] == exact).all() and (found[1] == (near & ~exact)).all()


def test_parity_takes_blocks_of_lines_as_they_are(tmp_path: Path) -> None:
    lines = [f"Line  {n} &amp; \u00a0 e\u0301" if n % 7 else "" for n in range(1, 20_001)]
    file = write_web_file(tmp_path / "en.xz", "\n".join(lines).encode() + b"\n")
    manifest = write_web_text(tmp_path, file, preset="parity")
    kept = [line for document in documents_of(manifest) for line in document.split("\n")]
    assert kept == [line for line in lines if line]
    sampled = write_web_text(tmp_path, file, preset="parity", fraction=0.4)
    numbers = [int(line.split()[1]) for d in documents_of(sampled) for line in d.split("\n")]
    blocks = {number // 1000 for number in (n - 1 for n in numbers)}
    counts = accounted(read_manifest(sampled))
    assert counts["read"] == 20 and counts["kept"] == len(blocks)
    assert 0 < len(blocks) < 20
    assert numbers == [n for n in range(1, 20_001) if n % 7 and (n - 1) // 1000 in blocks]
    with pytest.raises(ConfigError, match="takes no filters"):
        write_web_text(tmp_path, file, preset="parity", duplicates="exact")


def test_a_wrong_parameter_names_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ingest\.text\.params\.cc100.*did you mean 'fraction'"):
        write_web_text(tmp_path, tmp_path / "en.xz", fractoin=0.5)


def test_sampling_takes_the_share_and_the_same_documents_of_any_file(tmp_path: Path) -> None:
    documents = made_documents(2000)
    kept = []
    for name, order in (("a", documents), ("b", documents[::-1])):
        file = packed_documents(tmp_path / f"{name}.xz", order)
        manifest = write_web_text(tmp_path, file, fraction=0.3)
        kept.append(set(documents_of(manifest)))
        accounted(read_manifest(manifest))
    assert kept[0] == kept[1] and abs(len(kept[0]) - 600) < 80


WRITE = """
import sys, time
from pathlib import Path
from builders.web_texts import write_web_text
from valm.ingest.text import web_parts
from valm.ingest.text import web_text

def slow_part(raw, params, folder):
    time.sleep(0.15)
    web_parts.make_part(raw, params, folder)

web_text.PART_BYTES, web_text.make_part = 40_000, slow_part
if __name__ == "__main__":
    write_web_text(Path(sys.argv[1]), Path(sys.argv[2]), threads=int(sys.argv[3]), duplicates="near")
"""


def writer(folder: Path, file: Path, threads: int) -> subprocess.Popen[bytes]:
    script = folder / "write.py"
    script.write_text(WRITE)
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    command = [sys.executable, str(script), str(folder), str(file), str(threads)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2])
def test_killed_at_any_moment_it_goes_on_to_the_same_bytes(tmp_path: Path, threads: int) -> None:
    file = packed_documents(tmp_path / "en.xz", made_documents(3000))
    (tmp_path / "whole").mkdir()
    assert writer(tmp_path / "whole", file, threads).wait() == 0
    whole = tmp_path / "whole" / "cc100.manifest.json"
    finished: dict[Path, int] = {}
    kills = 0
    for parts in (1, 4, 9, 14):
        running = writer(tmp_path, file, threads)
        while running.poll() is None and len(list(tmp_path.glob("work/*/*/*/*.json"))) < parts:
            time.sleep(0.02)
        kills += running.poll() is None
        running.send_signal(signal.SIGKILL)
        running.wait()
        for path, made in finished.items():
            assert path.stat().st_mtime_ns == made, "a finished part was made again"
        finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("work/*/*/*/*.json")}
    assert kills >= 3 and finished
    assert writer(tmp_path, file, threads).wait() == 0
    assert (tmp_path / "cc100.txt.xz").read_bytes() == whole.with_name("cc100.txt.xz").read_bytes()
    assert (tmp_path / "cc100.manifest.json").read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("work/*/*/*/*.json"))


PEAK = """
import sys
from pathlib import Path
from builders.web_texts import write_web_text
from valm.ingest.text import web_text
web_text.PART_BYTES = 1 << 18
write_web_text(Path(sys.argv[1]), Path(sys.argv[2]), duplicates="near")
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.slow
def test_memory_is_flat_in_the_size_of_the_text(tmp_path: Path) -> None:
    peaks = []
    places = [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(places)}
    for number, count in enumerate((4_000, 24_000)):  # 1 and 6 MB
        file = packed_documents(tmp_path / f"{number}.xz", made_documents(count))
        command = [sys.executable, "-c", PEAK, str(tmp_path), str(file)]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        peaks.append(int(run.stdout) / 1024)
    assert peaks[1] < peaks[0] + 3, f"{peaks} MiB"


def test_no_document_is_in_two_splits_and_streams_keep_them_whole(tmp_path: Path) -> None:
    documents = made_documents(400)
    text = write_web_text(
        tmp_path, packed_documents(tmp_path / "en.xz", documents + documents[:50])
    )
    tokenizer = make_tokenizer(tmp_path, [text])
    manifest = make_tokens(
        tmp_path, [text], tokenizer, split={"valid_fraction": 0.1, "test_fraction": 0.1}
    )
    seen = []
    for split in ("train", "valid", "test"):
        stream = TokenStream.open(manifest, split)
        assert stream.tokens.dtype == np.uint16
        ends = stream.documents
        seen += [tuple(stream.tokens[a:b].tolist()) for a, b in pairwise(ends)]
    assert len(seen) == len(set(seen)) == 400


@pytest.mark.slow
def test_streams_are_the_same_from_one_process_and_from_two(tmp_path: Path) -> None:
    text = write_web_text(tmp_path, packed_documents(tmp_path / "en.xz", made_documents(1500)))
    tokenizer = make_tokenizer(tmp_path, [text])
    streams = []
    for threads in (1, 2):
        output = tmp_path / str(threads) / "tokens.manifest.json"
        job = text_job("write-tokens", threads=threads, text={"sources": [{"name": "cc100"}]})
        write_tokens(job, text=[text], tokenizer=tokenizer, output=output)
        streams.append([path.read_bytes() for path in sorted(output.parent.iterdir())])
    assert streams[0] == streams[1] and len(streams[0]) == 13
