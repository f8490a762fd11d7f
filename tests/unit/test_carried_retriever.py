"""How a model's pictures were looked up, read from the manifests behind it."""

from __future__ import annotations

import json
from pathlib import Path

from builders.trained import QUERY, TOP_K, make_trained

from valm.config.retrieve import Query
from valm.export.ancestry import Ancestry
from valm.export.carried_retriever import query_of


def test_a_model_that_reads_fewer_pictures_than_were_found_keeps_to_them(tmp_path: Path) -> None:
    trained = make_trained(tmp_path)
    query = Query.model_validate(QUERY)
    assert query_of(Ancestry.of(trained.model, tmp_path)) == (query, TOP_K)
    manifest = json.loads(trained.model.read_text(encoding="utf-8"))
    manifest["facts"]["top_k"] = TOP_K - 1
    trained.model.write_text(json.dumps(manifest), encoding="utf-8")
    assert query_of(Ancestry.of(trained.model, tmp_path)) == (query, TOP_K - 1)
