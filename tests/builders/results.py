"""A small, plausible results folder: what the report reads, without a study having run.

Numbers are drawn from a seeded generator; ``Story`` sets how the models compare, so that a test
can ask what the report says of it.
"""

from __future__ import annotations

import io
import json
import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from builders.scores import MODELS, OBJECTS, RGB, Story, answers, comparisons, per_prompt, scores
from PIL import Image, ImageDraw

from valm.core.manifest import Recipe, write_manifest

HOSTILE = '<script>alert("caption")</script><img src="https://example.org/x.png">'


def write_results(root: Path, story: Story | None = None) -> Path:
    """Write the whole folder; returns it."""
    story = story or Story()
    _ingest(root)
    _embed(root)
    _retrieve(root)
    _train(root)
    _evaluate(root, story)
    _benchmarks(root)
    return root


def _manifest(
    root: Path,
    name: str,
    kind: str,
    rows: int,
    files: list[Path],
    facts: dict[str, Any],
    parents: tuple[str, ...] = (),
    section: dict[str, Any] | None = None,
) -> None:
    write_manifest(
        root / f"{name}.manifest.json",
        kind=kind,
        rows=rows,
        files=files,
        producer=name.split("/")[0],
        config_digest="0" * 16,
        code_digest="1" * 16,
        facts=facts,
        parents=[root / f"{parent}.manifest.json" for parent in parents],
        recipe=Recipe(section=section or {}),
    )


def _write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _picture(colour: str, side: int = 64) -> bytes:
    picture = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((8, 8, side - 8, side - 8), fill=RGB[colour])
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


# --- the phases ----------------------------------------------------------------------------------


def _ingest(root: Path) -> None:
    for name, available in (("fluent_emoji", True), ("tuxpaint_stamps", False)):
        facts = {
            "available": available,
            "reason": None if available else "no apt-get on this machine",
            "path": "data/raw.tgz",
            "licence": "MIT" if available else "GPL-2",
            "origin": f"npm {name}@1.0.0",
            "holds": "pictures",
            "bytes": 15_792_027,
        }
        _manifest(root, f"ingest/sources/{name}", "source", 1, [], facts)
    rows = []
    for source in ("fluent_emoji", "google_emoji"):
        folder = root / "ingest" / "pictures" / source
        folder.mkdir(parents=True)
        with tarfile.open(folder / "00000.tar", "w") as tar:
            for number, (name, colour) in enumerate(OBJECTS.items()):
                key = f"{number:09d}"
                caption = HOSTILE if name == "coal" else f"{name}: a {colour} {name}"
                for suffix, data in (
                    ("png", _picture(colour)),
                    ("txt", caption.encode()),
                    ("json", b"{}"),
                ):
                    entry = tarfile.TarInfo(f"{key}.{suffix}")
                    entry.size = len(data)
                    tar.addfile(entry, io.BytesIO(data))
                kept = not (source == "google_emoji" and name == "lemon")
                rows.append(
                    {
                        "source": source, "shard": "00000", "key": key, "name": name, "caption": caption,
                        "keywords": [colour], "licence": "MIT", "hash": number, "kept": kept,
                    }
                )  # fmt: skip
        facts = {"rejected": {"too large": 2, "not a picture": 1}, "licence": "MIT"}
        _manifest(
            root,
            f"ingest/pictures/{source}/pictures",
            "picture_shards",
            len(OBJECTS),
            [folder / "00000.tar"],
            facts,
        )
    identifiers = iter(range(len(rows)))
    for row in rows:
        row["id"] = next(identifiers) if row["kept"] else -1
        row["duplicate_of"] = -1 if row["kept"] else 11
    listing = root / "ingest" / "pictures" / "list.parquet"
    types = {"id": pl.Int32, "hash": pl.UInt64, "duplicate_of": pl.Int32}
    pl.DataFrame(rows, schema_overrides=types).write_parquet(listing)
    kept = sum(row["kept"] for row in rows)
    _manifest(root, "ingest/pictures/list", "picture_list", kept, [listing], {})

    texts = {
        "wordnet_glosses": [
            "banana: an elongated crescent-shaped yellow fruit.",
            "frog: a tailless amphibian.",
        ],
        "colour_notes": [
            "the banana shown here is yellow.",
            "the carrot shown here is orange.",
        ],
    }
    tokens = {}
    for source, documents in texts.items():
        file = _write(
            root / f"ingest/text/{source}.txt.xz",
            lzma.compress("\n\n".join(documents).encode()),
        )
        _manifest(
            root,
            f"ingest/text/{source}",
            "text",
            len(documents),
            [file],
            {"licences": {"wordnet": "WordNet licence"} if source == "wordnet_glosses" else {}},
        )
        tokens[source] = {"documents": len(documents), "tokens": 40 * len(documents)}
    split = {
        "tokens": 160,
        "documents": 4,
        "words": 120,
        "characters": 600,
        "by_source": tokens,
    }
    facts = {
        "dtype": "uint16",
        "vocabulary_size": 4096,
        "sources": list(texts),
        "splits": {"train": split, "valid": split, "test": split},
    }
    _manifest(root, "ingest/tokens/tokens", "tokens", 160, [], facts)
    _manifest(
        root,
        "ingest/tokenizer/tokenizer",
        "tokenizer",
        4096,
        [],
        {"kind": "bpe", "end_of_text_id": 0},
    )


def _embed(root: Path) -> None:
    curve = [
        {"step": step, "pictures": 6.0 - np.log1p(step) / 2, "colours": 1 / np.log(step)}
        for step in range(20, 400, 20)
    ]
    facts = {
        "kind": "two_tower", "key_width": 192, "value_width": 203, "parameters": 3_200_000,
        "precision_at_4_after_mention": {"0": 0.72, "1": 0.63, "2": 0.41}, "training_curve": curve,
    }  # fmt: skip
    _manifest(root, "embed/encoder/encoder", "encoder", 3_200_000, [], facts)
    values = _write(root / "embed/vectors/values.npy", bytes(230))
    _manifest(root, "embed/vectors/vectors", "vectors", 23, [values], {"dtype": "float16"})


def _retrieve(root: Path) -> None:
    recall = [
        {"index": "exact", "preset": "fixed", "factory": "Flat", "nprobe": None, "recall": {"1": 1.0, "4": 1.0, "8": 1.0},
         "bytes_per_vector": 768, "queries_per_second": 21000.0, "queries": 2000},
        {"index": "ivf_pq", "preset": "fixed", "factory": "IVF64,PQ48x8", "nprobe": 16, "recall": {"1": 0.71, "4": 0.78, "8": 0.81},
         "bytes_per_vector": 56, "queries_per_second": 48000.0, "queries": 2000},
    ]  # fmt: skip
    _write(root / "retrieve/recall.json", json.dumps(recall).encode())
    names = list(OBJECTS)
    nothing = [-1] * 4
    prompts = [
        {
            "prompt": f"the color of a {name} is", "tokens": [" the", f" {name}", " is"],
            "ids": [nothing, nothing, [i, i + len(names) - (i > 10), 3, -1]],
            "scores": [[0.0] * 4, [0.0] * 4, [0.83, 0.79, 0.41, 0.0]],
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    _write(root / "retrieve/prompts.json", json.dumps(prompts).encode())
    for index in recall:
        _manifest(
            root,
            f"retrieve/indices/{index['index']}",
            "index",
            23,
            [],
            {"factory": index["factory"]},
        )
    section = {"retrieve.top_k": 4, "retrieve.presets": [{"query": {"scheme": "chunks"}}]}
    ids = _write(root / "retrieve/neighbours/fixed/train.ids.npy", bytes(1_600))
    name, parents = "retrieve/neighbours/fixed/train", ("retrieve/indices/exact",)
    _manifest(root, name, "neighbours", 160, [ids], {}, parents, section)


def _train(root: Path) -> None:
    generator = np.random.default_rng(1)
    for model, pictures in MODELS.items():
        for seed in (1, 2):
            speed = 2600.0 if model == "gpt2_star" else 2400.0
            lines = []
            for step in range(10, 801, 10):
                loss = (
                    4.1
                    + 4.2 * np.exp(-step / 160)
                    + generator.normal(0, 0.05)
                    - 0.01 * (model == "valm")
                )
                lines.append(
                    {
                        "step": step, "tokens": step * 1024, "loss": loss,
                        "valid_loss": loss - 0.02 if step % 200 == 0 else None, "learning_rate": 0.002,
                        "tokens_per_second": speed, "seconds": step * 1024 / speed, "peak_memory_bytes": 9 * 10**8,
                    }
                )  # fmt: skip
            text = "".join(json.dumps(line) + "\n" for line in lines)
            _write(root / f"train/{model}/seed{seed}/metrics.jsonl", text.encode())
            facts = {
                "variant": model,
                "seed": seed,
                "pictures": pictures,
                "tokens_seen": 819_200,
                "valid_loss": lines[-1]["valid_loss"],
            }
            looks = pictures != "none"
            parents = ("retrieve/neighbours/fixed/train", "embed/vectors/vectors") if looks else ()
            section = {
                "models.trunk": {"layers": 4},
                "models.variants": [
                    {"name": model, "fusion": {"name": "joint" if looks else "none", "params": {}}}
                ],
            }
            name = f"train/{model}/seed{seed}/model"
            weights = _write(root / f"train/{model}/seed{seed}/model.safetensors", bytes(5_000))
            _manifest(root, name, "model", 2_700_000, [weights], facts, parents, section)


def _benchmarks(root: Path) -> None:
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for job, seconds, rss in (
        ("write_pictures/fluent_emoji", 21.3, 210.5),
        ("train_model/valm/seed1", 330.0, 1850.2),
        ("train_model/gpt2_star/seed1", 301.0, 1610.0),
        ("find_neighbours/fixed/train", 0.032, 300.0),
        ("list_pictures/list", 0.4, "NA"),
    ):
        line = f"{seconds}\t0:00:21\t{rss}\t1\t1\t1\t0\t0\t99\t{seconds}\n"
        _write(root / f"benchmarks/{job}.tsv", (header + line).encode())


def _evaluate(root: Path, story: Story) -> None:
    tables = {
        "scores": scores(story), "comparisons": comparisons(story), "per_prompt": per_prompt(story),
    }  # fmt: skip
    files = []
    for name, frame in tables.items():
        files.append(root / "evaluate" / f"{name}.parquet")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(files[-1])
    facts = {"choices": list(RGB), "status": "measured"}
    _manifest(root, "evaluate/tasks/colour", "task", 0, [], facts)
    for model in MODELS:
        file = root / "evaluate" / "predictions" / model / "colour.parquet"
        file.parent.mkdir(parents=True)
        answers(story, model).write_parquet(file)
        _manifest(root, f"evaluate/predictions/{model}/colour", "predictions", 9, [file], {})
    _sights(root)
    _manifest(
        root,
        "evaluate/scores",
        "scores",
        len(tables["scores"]),
        files,
        {"confidence": 0.95},
    )


def _sights(root: Path) -> None:
    """A banana that turns green when its pictures do; the pictures of the last token are coal and more."""
    words, yellow, green = ["yellow", "green", "red"], [0.7, 0.1, 0.2], [0.1, 0.7, 0.2]
    rows = (("own", 0, [0, 1, 2], yellow), ("recoloured", 120, [0, 1, 2], green),
            ("instead", 0, [3, -1, -1], green), ("none", 0, [], [0.3, 0.3, 0.4]))  # fmt: skip
    prompt = {
        "prompt": "the color of a <b> is",
        "instead": "cucumber",
        "tokens": ["the", " color", " <b>"],
        "attention": [
            {"model": "valm", "seed": seed, "text": [0.1, 0.1, 0.2], "pictures": [0.3, 0.2, 0.1]}
            for seed in (1, 2)
        ],
        "exchanges": [
            {
                "name": name, "turn": turn, "pictures": pictures,
                "answers": [{"model": "valm", "seed": seed, "shares": shares} for seed in (1, 2)],
            }
            for name, turn, pictures, shares in rows
        ],
        "without": [{"model": "gpt2_star", "seed": 1, "shares": [0.3, 0.3, 0.4]}],
    }  # fmt: skip
    data = json.dumps({"words": words, "prompts": [prompt]}).encode()
    file = _write(root / "evaluate/sights.json", data)
    _manifest(root, "evaluate/sights", "sights", 1, [file], {})
