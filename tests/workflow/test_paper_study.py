"""The paper's study and its cheaper re-run are planned from LAION's metadata and CC-100's file to the report."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders.checkout import copy_repository, jobs

FEW = "ingest={pictures: {params: {laion: {shards: 3}}}}"  # of 20,000, each two jobs
MODELS = {"paper": 7, "rerun": 4}


@pytest.mark.slow
@pytest.mark.parametrize("study", MODELS)
def test_it_plans_from_the_raw_files_to_the_report(study: str, tmp_path: Path) -> None:
    checkout = copy_repository(tmp_path)
    run = checkout.run(
        "snakemake", "--cores", "2", "--dry-run",
        "--configfile", f"config/studies/{study}.yaml", "--config", FEW,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
    planned = jobs(run.stdout)
    shards = {
        "list_urls": 1,
        "download_pictures": 3,
        "write_picture_shard": 3,
        "gather_pictures": 1,
    }
    text = {"write_text": 1, "train_tokenizer": 1, "write_tokens": 1}
    found = {"make_encoder": 1, "embed_pictures": 1, "build_index": 2, "find_neighbours": 4}
    asked = {"train_model": MODELS[study], "score_models": 1, "write_report": 1}
    wanted = shards | text | found | asked
    assert {rule: planned[rule] for rule in wanted} == wanted
    assert planned["evaluate_model"] == MODELS[study] * planned["prepare_task"]
