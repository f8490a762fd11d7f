"""Picture shards: every sample is a vector or a reason; finished shards are skipped; nothing is lost."""

from __future__ import annotations

import gc
import io
import json
import os
import tracemalloc
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders.image_shards import open_clip_encoder, photo, write_tar
from builders.retrieval import write_index
from PIL import Image
from typer.testing import CliRunner

from valm.cli.main import app
from valm.core.manifest import Manifest, read_manifest, verify_files
from valm.embed import shards as shards_module
from valm.embed.encoder import load_encoder
from valm.embed.picture_form import Decoders, PictureForm
from valm.errors import InputError, IntegrityError, ValmError
from valm.retrieve.index import Searcher

PHOTOS = 20  # a shard; more than a worker's chunk


def samples(shard: int, count: int = PHOTOS) -> dict[str, bytes]:
    names = [f"{shard:05}{n:04}" for n in range(count)]
    return {f"{name}.jpg": photo(1000 * shard + n) for n, name in enumerate(names)}


def write_shards(folder: Path, count: int = 3) -> Path:
    for shard in range(count):
        captions = {f"{shard:05}0000.txt": b"a caption", f"{shard:05}0000.json": b"{}"}
        write_tar(folder / f"{shard:05}.tar", samples(shard) | captions)
    return folder


def run(shards: Path, encoder: Path, output: Path, *more: str) -> None:
    options = ["--shards", str(shards), "--encoder", str(encoder), "--output", str(output), *more]
    found = CliRunner().invoke(app, ["embed-shards", *options])
    if found.exception is not None:
        raise found.exception


def test_vectors_of_all_shards_are_those_of_the_pictures(tmp_path: Path) -> None:
    encoder, output = (
        open_clip_encoder(tmp_path / "encoder"),
        tmp_path / "out/vectors.manifest.json",
    )
    run(write_shards(tmp_path / "raw"), encoder, output, "--workers", "2")
    loaded = load_encoder(encoder)
    photos = [
        Image.open(io.BytesIO(data)) for shard in range(3) for data in samples(shard).values()
    ]
    wanted = loaded.encode_pictures(photos)  # type: ignore[attr-defined]
    manifest = verify_files(output)
    assert manifest.rows == 60 and manifest.facts["samples"] == 60
    keys = np.load(output.with_name("keys.npy"))
    cosines = (keys.astype(np.float32) * wanted.keys).sum(axis=1)
    assert keys.dtype == np.float16 and cosines.min() > 0.999  # draft mode reads JPEGs smaller
    assert np.allclose(np.load(output.with_name("norms.npy")), wanted.norms, rtol=0.05)
    listed = pq.read_table(output.with_name("pictures.parquet")).to_pylist()
    assert listed[21] == {"shard": "00001", "key": "000010001"}
    ids, _, _ = Searcher(output, write_index(tmp_path, output)).search(wanted.keys, 1)
    assert (ids[:, 0] == np.arange(60)).all()


def test_the_form_is_what_open_clips_transform_makes_of_a_picture(tmp_path: Path) -> None:
    encoder = load_encoder(open_clip_encoder(tmp_path))
    form = encoder.picture_form(40)  # type: ignore[attr-defined]
    for size in ((90, 70), (70, 91), (32, 32), (33, 250), (20, 17)):
        picture = Image.open(io.BytesIO(photo(1, *size)))
        wanted = encoder.encode_pictures([picture])  # type: ignore[attr-defined]
        found = encoder.encode_pixels(np.stack([form.of_rgb(picture)]))  # type: ignore[attr-defined]
        assert np.array_equal(found.keys, wanted.keys), size


def test_every_sample_is_a_vector_or_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards_module, "MAXIMUM_PICTURE_BYTES", 500_000)
    bad = {
        "1.jpg": b"",
        "2.jpg": b"<html>not found</html>",
        "3.jpg": photo(1)[:400],
        "4.png": photo(2, 8, 8),
        "5.webp": photo(3, 900, 20),
        "6.jpg": photo(4, 3000, 2000),
        "7.jpg": photo(5) + bytes(600_000),
    }
    write_tar(tmp_path / "raw/00000.tar", samples(0, 3) | bad)
    encoder, output = (
        open_clip_encoder(tmp_path / "encoder"),
        tmp_path / "out/vectors.manifest.json",
    )
    run(tmp_path / "raw", encoder, output, "--workers", "0", "--maximum-megapixels", "5")
    facts = read_manifest(output).facts
    assert facts["samples"] == 10
    assert facts["rejected"] == {
        "damaged": 1, "not_a_picture": 2, "too_large": 1, "too_long": 1, "too_many_bytes": 1,
        "too_small": 1,
    }  # fmt: skip
    rows = pq.read_table(tmp_path / "out/shards/00000.parquet").to_pylist()
    assert [row["row"] for row in rows] == [0, 1, 2, *[None] * 7]
    assert Counter(row["rejected"] for row in rows if row["rejected"]) == facts["rejected"]


def test_nothing_of_a_shard_stays_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Python and numpy hold when a shard begins does not grow by the shards before it."""
    encoder, raw = open_clip_encoder(tmp_path / "encoder"), write_shards(tmp_path / "raw", 7)
    held, embed_shard = [], shards_module._embed_shard

    def watched(*given: object) -> Manifest:
        gc.collect()
        held.append(tracemalloc.get_traced_memory()[0])
        return embed_shard(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(shards_module, "_embed_shard", watched)
    tracemalloc.start()
    try:
        run(raw, encoder, tmp_path / "out/vectors.manifest.json", "--workers", "0")
    finally:
        tracemalloc.stop()
    pixels = PHOTOS * 3 * 32 * 32
    assert len(held) == 7 and held[6] - held[2] < pixels


def test_finished_shards_are_skipped_and_parts_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, raw = open_clip_encoder(tmp_path / "encoder"), write_shards(tmp_path / "raw")
    whole, parts = (tmp_path / name / "vectors.manifest.json" for name in ("whole", "parts"))
    run(raw, encoder, whole, "--workers", "0")
    run(raw, encoder, parts, "--workers", "0", "--part", "2/2")
    assert [path.name for path in (tmp_path / "parts/shards").glob("*.npy")] == ["00001.npy"]
    assert not parts.exists()
    done = (tmp_path / "parts/shards/00001.npy").stat().st_mtime_ns
    run(raw, encoder, parts, "--workers", "0")
    assert (tmp_path / "parts/shards/00001.npy").stat().st_mtime_ns == done
    assert parts.read_bytes() == whole.read_bytes()
    write_tar(raw / "00001.tar", samples(7, 5))  # fetched anew: another tar
    run(raw, encoder, parts, "--workers", "0")
    assert json.loads(parts.read_text())["rows"] == 45


def test_vectors_of_two_encoders_are_not_gathered(tmp_path: Path) -> None:
    raw, output = write_shards(tmp_path / "raw", 2), tmp_path / "out/vectors.manifest.json"
    one, other = (open_clip_encoder(tmp_path / name, **over) for name, over in
                  (("one", {}), ("other", {"pictures_per_batch": 3})))  # fmt: skip
    run(raw, one, output, "--workers", "0")
    before = output.read_bytes()
    run(raw, other, output, "--workers", "0", "--part", "1/2")
    assert output.read_bytes() == before  # the second shard is the first encoder's
    run(raw, other, output, "--workers", "0", "--part", "2/2")
    assert read_manifest(other).digest in read_manifest(output).parents.values()


def test_damaged_vectors_of_a_shard_are_not_gathered(tmp_path: Path) -> None:
    encoder, raw = open_clip_encoder(tmp_path / "encoder"), write_shards(tmp_path / "raw", 2)
    output = tmp_path / "out/vectors.manifest.json"
    run(raw, encoder, output, "--workers", "0", "--part", "1/2")
    vectors = tmp_path / "out/shards/00000.npy"
    vectors.write_bytes(vectors.read_bytes()[:-2])
    with pytest.raises(IntegrityError, match=r"00000\.npy"):
        run(raw, encoder, output, "--workers", "0")
    assert not output.exists()


def test_a_name_that_is_no_text_costs_nothing(tmp_path: Path) -> None:
    write_tar(tmp_path / "raw/00000.tar", {"a\udcff.jpg": photo(1), "b.jpg": photo(2)})
    output = tmp_path / "out/vectors.manifest.json"
    run(tmp_path / "raw", open_clip_encoder(tmp_path / "encoder"), output, "--workers", "0")
    listed = pq.read_table(output.with_name("pictures.parquet"))
    assert listed["key"].to_pylist() == ["a?", "b"]


def test_a_damaged_shard_costs_no_other(tmp_path: Path) -> None:
    encoder, raw = open_clip_encoder(tmp_path / "encoder"), write_shards(tmp_path / "raw")
    tar = raw / "00001.tar"
    tar.write_bytes(tar.read_bytes()[: tar.stat().st_size // 2])
    output = tmp_path / "out/vectors.manifest.json"
    with pytest.raises(InputError, match=r"1 of 3 shards cannot be read.*00001\.tar near byte"):
        run(raw, encoder, output, "--workers", "0")
    assert {path.name[:5] for path in (tmp_path / "out/shards").iterdir()} == {"00000", "00002"}
    with pytest.raises(ValmError, match="'3/2' is no part"):
        run(raw, encoder, output, "--part", "3/2")


def test_a_decoding_process_that_is_ended_is_told_in_one_line() -> None:
    with Decoders(PictureForm(8), 1) as decoders:
        assert decoders._pool is not None
        decoders._pool.submit(os._exit, 9)
        with pytest.raises(ValmError, match=r"decodes pictures was ended.*fewer --workers"):
            list(decoders.decoded((f"{n}", photo(n)) for n in range(40)))


def test_decoding_starts_no_torch() -> None:
    import subprocess
    import sys

    code = "import valm.embed.picture_form, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert PictureForm(8).of(photo(1)).shape == (3, 8, 8)
