"""The code fingerprint changes with the code, and with nothing else."""

import pytest

from valm.core.fingerprint import code_digest, modules_behind, source_digest

SOURCE = '"""Doc."""\ndef f(x):\n    """Doc."""\n    return x + 1\n'


@pytest.mark.parametrize(
    "same",
    [
        "def f(x):\n    return x + 1\n",
        '"""Other."""\n\n\ndef f(x):  # why\n    """More."""\n    return (x +\n            1)\n',
    ],
)
def test_comments_docstrings_and_layout_do_not_count(same: str) -> None:
    assert source_digest(same) == source_digest(SOURCE)


@pytest.mark.parametrize("old, new", [("x + 1", "x + 2"), ("x + 1", "x - 1"), ("f(x)", "f(x=0)")])
def test_code_counts(old: str, new: str) -> None:
    assert source_digest(SOURCE.replace(old, new)) != source_digest(SOURCE)


def test_the_closure_holds_what_is_imported_and_not_what_imports() -> None:
    behind = modules_behind("valm.ingest.pictures.numbering")
    assert {
        "valm.ingest.pictures.numbering",
        "valm.ingest.pictures.write",
        "valm.core.manifest",
    } <= behind
    assert "valm.embed.features.extract" not in behind
    # Values reach a verb in its section: a new default elsewhere must not run it again.
    assert not any(module.startswith(("valm.cli", "valm.config")) for module in behind)


def test_different_roots_differ() -> None:
    assert code_digest("valm.core.manifest") != code_digest("valm.core.seeding")
