"""Evaluation data that is not what was published: always an error that names the file and the line."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders.task_files import FILES, task_files

from valm.errors import InputError
from valm.evaluate.questions import data_files
from valm.evaluate.questions.data_files import read_json_lines, read_lines, read_table
from valm.evaluate.questions.definitions import TASKS, ChoiceTask, TextTask
from valm.ingest.text.tokens import TokenStream

PUBLISHED = [name for name in TASKS.names() if set(TASKS.get(name).raw) & set(FILES)]


def read_all(name: str, files: dict[str, Path]) -> None:
    task = TASKS.get(name)
    if isinstance(task, ChoiceTask):
        list(task.questions(files))
    elif isinstance(task, TextTask):
        nothing: TokenStream = None  # type: ignore[assignment]  # published texts don't read it
        list(task.passages(files, nothing, str))


@pytest.mark.parametrize("name", PUBLISHED)
@pytest.mark.parametrize("damage", [b"", b" \n\n", b"caf\xe9 \xff\n"])
def test_an_empty_file_or_another_encoding(name: str, damage: bytes, tmp_path: Path) -> None:
    for source in TASKS.get(name).raw:
        files = task_files(tmp_path, TASKS.get(name).raw)
        intact = files[source].read_bytes()
        files[source].write_bytes(damage if damage.isspace() or not damage else intact + damage)
        with pytest.raises(InputError) as caught:
            read_all(name, files)
        line = 1 + intact.count(b"\n") if damage.strip() else 1
        assert str(caught.value.where) == f"{files[source]}:{line}"


# What a task's file holds instead, the line that is wrong, and what is said of it.
DAMAGED = {
    "memory_color": [
        (b"Index,Item,Descriptor,Color\n1,plum,a,purple\n", 1, "the header"),
        (b"Index,Descriptor,Item,Color\n1,a,plum,purple\n2,a,sky,teal\n", 3, "label 'teal'"),
        (b"Index,Descriptor,Item,Color\n1,a,plum\n", 2, "3 fields"),
        (b"Index,Descriptor,Item,Color\n1,a,,purple\n", 2, "'Item' is empty"),
        (b"Index,Descriptor,Item,Color\n1,a,plum,\n", 2, "'Color' is empty"),
    ],
    "color_terms": [(b"object,color\nplum,purple\n", 2, "label 'purple'")],
    "object_shape": [
        (b'{"sub": "plum", "obj": "round"}\nround\n', 2, "not JSON"),
        (b'{"sub": "plum", "obj": 3}\n', 1, "not an object with the texts sub, obj"),
        (b'{"sub": "plum", "obj": "cube"}\n', 1, "label 'cube'"),
        (b"[" * 100_000 + b"\n", 1, "not"),
    ],
    "relative_size": [(b"tower apple\ntower\n", 2, "1 names"), (b"a big tower\n", 1, "3 names")],
    "sst2": [(b"label,sentence\n2,Fine.\n", 2, "label '2'"), (b'label,sentence\n1,"Fine.\n', 2, "CSV")],
    "mpqa": [(b"Label,Text\nNeutral,agreed\n", 2, "label 'neutral'")],
    "ag_news": [(b'"5","A title","Some news"\n', 1, "label '5'"), (b'"1","Some news"\n', 1, "2 fields")],
    "dbpedia": [(b'"0","Some text"\n', 1, "label '0'")],
    "lambada": [(b'{"text": "a cat"}\n{"words": "a cat"}\n', 2, "texts text")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data", "line", "said"),
    [(name, *case) for name, cases in DAMAGED.items() for case in cases],
)
def test_a_wrong_row_is_named(name: str, data: bytes, line: int, said: str, tmp_path: Path) -> None:
    raw = TASKS.get(name).raw
    files = task_files(tmp_path, raw)
    files[raw[0]].write_bytes(data)
    with pytest.raises(InputError, match=said) as caught:
        read_all(name, files)
    assert str(caught.value.where) == f"{files[raw[0]]}:{line}"


def test_lambadas_variants_must_be_of_the_same_passages(tmp_path: Path) -> None:
    files = task_files(tmp_path, TASKS.get("lambada").raw)
    files["lambada_test_plain"].write_text("only one\n", encoding="utf-8")
    with pytest.raises(InputError, match="1 passages"):
        read_all("lambada", files)


def test_a_file_of_any_size_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "huge.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    monkeypatch.setattr(data_files, "MAXIMUM_BYTES", 4)
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("it was read"))
    for reader in (lambda: list(read_table(file, ("a", "b"))), lambda: read_lines(file),
                   lambda: list(read_json_lines(file, ("a",)))):  # fmt: skip
        with pytest.raises(InputError, match="8 bytes, more than"):
            reader()
