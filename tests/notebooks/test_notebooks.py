"""The six notebooks as committed, and the wrapper that runs them."""

import ast
from pathlib import Path

import nbformat
import pytest
from builders.results import write_results

from valm.core.job import Job
from valm.errors import InputError
from valm.report.pages.notebooks import NotebookError, execute, run_notebook
from valm.report.pages.shell import TITLES

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
PARAMETERS = {"results": "results", "study": "small"}


def notebook(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell("results = 1\nstudy = 2", metadata={"tags": ["parameters"]})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)), encoding="utf-8")
    return path


def test_there_are_six() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(TITLES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_short_has_no_logic_and_no_outputs(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    assert len(cells) <= 15
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert code[0].metadata.get("tags") == ["parameters"]
    for cell in code:
        assert cell.outputs == []
        assert cell.execution_count is None
    for node in ast.walk(ast.Module([ast.parse(cell.source) for cell in code], [])):
        assert not isinstance(
            node, (ast.For, ast.If, ast.FunctionDef, ast.Lambda, ast.Import, ast.BinOp)
        )
        if isinstance(node, ast.ImportFrom):
            assert node.module == "valm.report.chapters"


def test_a_wrong_or_missing_parameter_is_an_error(tmp_path: Path) -> None:
    source = notebook(tmp_path / "a.ipynb")
    with pytest.raises(InputError, match=r"no parameter 'studdy'.*did you mean 'study'"):
        execute(source, PARAMETERS | {"studdy": "x"}, tmp_path / "out.ipynb")
    with pytest.raises(InputError, match="'study' of the notebook was not given"):
        execute(source, {"results": "x"}, tmp_path / "out.ipynb")
    assert not (tmp_path / "out.ipynb").exists()


def test_a_failed_notebook_stays_with_its_traceback(tmp_path: Path) -> None:
    source = notebook(tmp_path / "a.ipynb", "1 / 0")
    output, log = tmp_path / "results" / "a.ipynb", tmp_path / "logs" / "a.log"
    job = Job("run-notebook", {"study": "small"}, "code")
    with pytest.raises(NotebookError, match="ZeroDivisionError"):
        run_notebook(job, notebook=source, results=tmp_path, output=output, log=log)
    assert not output.exists()
    assert "ZeroDivisionError" in (tmp_path / "logs" / "a.ipynb").read_text(encoding="utf-8")


def test_a_kernel_that_dies_is_an_error_in_one_line(tmp_path: Path) -> None:
    source = notebook(tmp_path / "a.ipynb", "import os; os._exit(9)")
    with pytest.raises(NotebookError, match=r"the kernel of a\.ipynb died"):
        execute(source, PARAMETERS, tmp_path / "out.ipynb")


def test_kernels_do_not_compete_for_ports_or_file_names(tmp_path: Path) -> None:
    ask = (
        "from ipykernel.connect import get_connection_info as ask\n"
        "print(*(ask(unpack=True)[what] for what in ('transport', 'ip')))"
    )
    said = []
    for name in ("b.ipynb", "c.ipynb"):
        executed = execute(notebook(tmp_path / "a.ipynb", ask), PARAMETERS, tmp_path / name)
        (shown,) = executed.cells[-1].outputs
        said.append(shown.text.split())
    (first, one), (second, other) = said
    assert first == second == "ipc"
    assert Path(one).is_absolute() and one != other


def test_executed_twice_it_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path / "results")
    job = Job("run-notebook", {"study": "small"}, "code")
    seen = []
    for folder in ("first", "second"):
        output = tmp_path / folder / "04_train.ipynb"
        run_notebook(job, notebook=NOTEBOOKS[3], results=Path("results"), output=output)
        seen.append([output.read_bytes(), output.with_suffix(".html").read_bytes()])
    assert seen[0] == seen[1]
    assert b"<svg" in seen[0][1]
    assert str(tmp_path).encode() not in seen[0][0]
    assert not any(host in seen[0][1] for host in (b"<script", b"cdnjs", b"jsdelivr"))
