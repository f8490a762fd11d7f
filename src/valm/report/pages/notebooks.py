"""One wrapper around papermill: parameters checked, the running interpreter as kernel, HTML beside.

A notebook executes into the folder of its log; only a finished one is copied to where results lie,
a failed one stays there with its traceback. What changes from run to run (times, paths, process
ids) is taken out of the copy: executed twice, it has the same bytes.
"""

from __future__ import annotations

import ast
import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import papermill  # type: ignore[import-untyped]
from nbclient.exceptions import DeadKernelError
from papermill.exceptions import PapermillExecutionError  # type: ignore[import-untyped]
from traitlets.config import Config

from valm.core.atomic import write_text
from valm.core.job import Job
from valm.core.logs import logger
from valm.core.registry import did_you_mean
from valm.errors import InputError, ValmError
from valm.report.pages.notebook import notebook_page
from valm.report.results import SUFFIX

KERNEL = "valm-report"
KERNEL_START_SECONDS = 600  # on a busy machine imports take minutes
NOTEBOOK_FORMAT = 4


class NotebookError(ValmError):
    """A cell of a notebook failed."""


def run_notebook(
    job: Job, *, notebook: Path, results: Path, output: Path, log: Path | None = None
) -> None:
    """Execute a notebook on a study's results; write it, its HTML and a manifest where results lie.

    Args:
        job: Reads ``study``.
        notebook: The notebook without outputs; it has a cell tagged ``parameters``.
        results: The study's results folder.
        output: The executed notebook to write; HTML and manifest get the same name.
        log: The job's log file, beside which the notebook executes; ``logs/`` if there is none.

    Raises:
        InputError: The notebook's parameters are not ``results`` and ``study``.
        NotebookError: A cell failed; the message names the notebook that holds the traceback.
    """
    parameters = {"results": results.as_posix(), "study": job.value("study", str)}
    attempt = (log.parent if log else Path("logs")) / output.name
    executed = execute(notebook, parameters, attempt)
    text: str = nbformat.writes(executed, version=NOTEBOOK_FORMAT)  # type: ignore[no-untyped-call]
    page = output.with_suffix(".html")
    write_text(output, text + "\n")
    write_text(page, notebook_page(executed, output.stem))
    job.finish(
        output.with_suffix(SUFFIX), kind="notebook", rows=len(executed.cells), files=[output, page]
    )
    logger.info("%s -> %s", notebook, output)


def execute(notebook: Path, parameters: Mapping[str, Any], attempt: Path) -> nbformat.NotebookNode:
    """Execute a notebook into ``attempt`` and return it without what changes from run to run.

    Raises:
        InputError: A parameter is unknown to the notebook, or one of its own is not given.
        NotebookError: A cell failed; ``attempt`` stays, with the traceback.
    """
    _check_parameters(notebook, parameters)
    attempt.parent.mkdir(parents=True, exist_ok=True)
    with _private_kernel() as talk:
        try:
            executed = papermill.execute_notebook(
                str(notebook),
                str(attempt),
                parameters=dict(parameters),
                kernel_name=KERNEL,
                language="python",
                progress_bar=False,
                start_timeout=KERNEL_START_SECONDS,
                config=talk,
            )
        except DeadKernelError as error:
            raise NotebookError(
                f"the kernel of {notebook.name} died",
                where=attempt,
                cure="most often memory ran out: free some and run the same command again",
            ) from error
        except PapermillExecutionError as error:
            raise NotebookError(
                f"a cell of {notebook.name} failed: {error.ename}: {error.evalue}",
                where=attempt,
                cure="open it: the traceback stands below the cell",
            ) from error
    return _without_traces(executed)


def _check_parameters(notebook: Path, parameters: Mapping[str, Any]) -> None:
    """Refuse wrong names, of which papermill only warns, and defaults that were left alone."""
    if not notebook.is_file():
        raise InputError("there is no such notebook", where=notebook)
    known = _declared_parameters(notebook)
    if not known:
        raise InputError(
            "the notebook has no parameters",
            where=notebook,
            cure="tag one cell 'parameters'",
        )
    for name in parameters:
        if name not in known:
            raise InputError(
                f"the notebook has no parameter {name!r}",
                where=notebook,
                cure=did_you_mean(name, known),
            )
    for name in sorted(known - set(parameters)):
        raise InputError(f"parameter {name!r} of the notebook was not given", where=notebook)


def _declared_parameters(notebook: Path) -> set[str]:
    """Names that the cell tagged ``parameters`` assigns."""
    cells = nbformat.read(notebook, as_version=NOTEBOOK_FORMAT).cells  # type: ignore[no-untyped-call]
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    return {
        target.id
        for statement in ast.parse("\n".join(tagged)).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }


@contextmanager
def _private_kernel() -> Iterator[Config]:
    """Offer a kernel of this very interpreter, whatever is installed; no profile, no history.

    Jupyter looks into JUPYTER_PATH first, and reads the environment when it is asked for a kernel.

    Yields:
        How to talk to it: over socket files in a folder of its own. Kernels that start at the same time
        can pick the same free port, or the same file names in the current folder.
    """
    with TemporaryDirectory(prefix="valm-kernel-") as folder:
        spec = Path(folder) / "kernels" / KERNEL / "kernel.json"
        spec.parent.mkdir(parents=True)
        command = [
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
        ]
        options = ["--HistoryManager.enabled=False", "--IPKernelApp.log_level=CRITICAL"]
        kernel = {
            "argv": command + options,
            "display_name": "Python 3",
            "language": "python",
        }
        spec.write_text(json.dumps(kernel), encoding="utf-8")
        private = {
            "JUPYTER_PATH": folder,
            "JUPYTER_RUNTIME_DIR": folder,
            "IPYTHONDIR": str(Path(folder) / "ipython"),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        before = {name: os.environ.get(name) for name in private}
        os.environ.update(private)
        try:
            yield Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name)
                else:
                    os.environ[name] = value


def _without_traces(executed: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop papermill's times and paths, kernel timings and random cell ids."""
    executed.metadata = {
        "kernelspec": {
            "display_name": "Python 3",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python"},
    }
    for number, cell in enumerate(executed.cells):
        cell["id"] = f"cell-{number:02d}"
        tags = cell.metadata.get("tags", [])
        cell["metadata"] = {"tags": tags} if tags else {}
    return executed
