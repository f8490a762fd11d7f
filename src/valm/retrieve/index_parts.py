"""``build-index --part i/n``: an index that no one machine's memory has to hold while it is built.

The machines share a folder. The first trains the empty index; each adds its share of the pictures to
a copy of it; whichever ends last joins the inverted lists on disk, by ``faiss.contrib``. What comes out is
found by, and finds, what ``build-index`` makes in one piece, and a search maps only the lists that it probes.
Everything lies in ``<index>.parts/`` until then; what is finished there is not made again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
from faiss.contrib.ondisk import merge_ondisk

from valm.config.retrieve import Index
from valm.core.atomic import atomic_path, require_space
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.manifest import read_manifest, verify_files
from valm.errors import ConfigError, InputError
from valm.retrieve.factory import add_keys, empty_index, inverted_lists, trained_index
from valm.retrieve.index import KIND, index_facts, what_is_indexed
from valm.retrieve.keys import PictureKeys

TRAINED, PART = "trained_index", "index_part"


def build_part(
    job: Job,
    *,
    vectors: Path,
    index: str,
    output: Path,
    part: tuple[int, int],
    retracted: Path | None = None,
) -> None:
    """Add one share of the pictures; once all are added, write ``<index>.faiss`` and ``<index>.ivfdata``.

    Args:
        vectors: Manifest of the picture vectors.
        index: Name of the index in ``retrieve.indices``.
        output: ``<index>.manifest.json``; the parts lie in ``<index>.parts/`` beside it.
        part: (i, n): the i-th of n shares, counted from 1.
        retracted: Manifest of the retracted pictures, which the index does not hold.

    Raises:
        ConfigError: The index is more than inverted lists, or its factory string does not fit the keys.
        InputError: The first part has not trained the index yet, or a key is no vector of numbers.
    """
    settings, keys = what_is_indexed(job, vectors, index, retracted)
    empty = empty_index(settings, keys.width)
    if not _keeps_all_in_lists(empty):
        raise ConfigError(
            f"{settings.factory!r} does not keep its vectors in plain inverted lists, so its parts"
            " cannot be joined",
            where=f"retrieve.indices[{index}].factory",
            cure="build it whole, without --part, or use a factory string such as IVF4096,PQ64x8",
        )
    parents = [vectors, *([retracted] if retracted else [])]
    number, parts = part
    folder = output.with_name(f"{index}.parts")
    trained = folder / "trained.manifest.json"
    if not _is_made(trained, TRAINED, job, parents):
        if number > 1:
            raise InputError(
                "the index has not been trained yet", where=trained, cure=f"run --part 1/{parts} first"
            )  # fmt: skip
        _train(job, settings, keys, parents, trained)
    manifests = [
        folder / f"{each:05d}_of_{parts:05d}.manifest.json" for each in range(1, parts + 1)
    ]
    mine = manifests[number - 1]
    if not _is_made(mine, PART, job, [trained]):
        first, last = (len(keys) * each // parts for each in (number - 1, number))
        _add(job, settings, keys, range(first, last), trained, mine)
    left = [path for path in manifests if not _is_made(path, PART, job, [trained])]
    if left:
        logger.info("index %s: %d of %d parts are left", index, len(left), parts)
        return
    _join(job, settings, trained, manifests, parents, output)
    logger.info("index %s: %d parts joined, %s pictures", index, parts, f"{len(keys):,}")


def _keeps_all_in_lists(index: faiss.Index) -> bool:
    """Whether plain inverted lists hold all that an index knows of its vectors.

    Others refine by a second copy of the vectors, or pack codes so that no file of lists can hold them.
    """
    whole = faiss.downcast_index(index)  # the index owns what it is made of
    inner = whole
    if isinstance(whole, faiss.IndexPreTransform):
        inner = faiss.downcast_index(whole.index)
    more = (faiss.IndexIVFPQR, faiss.IndexIVFFastScan)
    return isinstance(inner, faiss.IndexIVF) and not isinstance(inner, more)


def _is_made(manifest: Path, kind: str, job: Job, parents: Sequence[Path]) -> bool:
    """Whether a part was made of these parents, by these settings and this code."""
    if not manifest.is_file():
        return False
    found = read_manifest(manifest, kind)
    return (found.config_digest, found.code_digest) == (job.config_digest, job.code) and set(
        found.parents.values()
    ) == {read_manifest(path).digest for path in parents}


def _train(
    job: Job, settings: Index, keys: PictureKeys, parents: Sequence[Path], manifest: Path
) -> None:
    file = _beside(manifest)
    with atomic_path(file) as path:
        faiss.write_index(trained_index(settings, keys, job.seed), str(path))
    job.finish(manifest, kind=TRAINED, rows=0, files=[file], parents=parents)


def _add(
    job: Job, settings: Index, keys: PictureKeys, places: range, trained: Path, manifest: Path
) -> None:
    verify_files(trained)
    index = faiss.read_index(str(_beside(trained)))
    add_keys(index, settings, keys, places)
    file = _beside(manifest)
    with atomic_path(file) as path:
        faiss.write_index(index, str(path))
    job.finish(manifest, kind=PART, rows=len(places), files=[file], parents=[trained])


def _join(
    job: Job,
    settings: Index,
    trained: Path,
    manifests: Sequence[Path],
    parents: Sequence[Path],
    output: Path,
) -> None:
    """Join the parts' lists in their order, which is that of the pictures."""
    for manifest in (trained, *manifests):
        verify_files(manifest)
    files = [_beside(manifest) for manifest in manifests]
    require_space(output, sum(file.stat().st_size for file in files))
    index = faiss.read_index(str(_beside(trained)))
    lists_file = output.with_name(f"{settings.name}.ivfdata")
    index_file = output.with_name(f"{settings.name}.faiss")
    with atomic_path(lists_file) as lists_path, atomic_path(index_file) as index_path:
        merge_ondisk(index, [str(file) for file in files], str(lists_path))
        joined = inverted_lists(index)
        assert joined is not None  # the factory string was asked
        lists: Any = faiss.downcast_InvertedLists(joined.invlists)
        lists.filename = lists_file.name  # a search looks for it beside the index
        faiss.write_index(index, str(index_path))
    rows = int(index.ntotal)
    job.finish(
        output,
        kind=KIND,
        rows=rows,
        files=[index_file, lists_file],
        parents=parents,
        facts=index_facts(settings, index, round(lists_file.stat().st_size / rows)),
    )


def _beside(manifest: Path) -> Path:
    return manifest.with_name(manifest.name.removesuffix(".manifest.json") + ".faiss")
