"""``valm lm-eval``: tasks of lm-evaluation-harness on a model of the study."""

from __future__ import annotations

import fnmatch
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from valm.core.atomic import write_json
from valm.core.logs import logger
from valm.core.manifest import read_manifest
from valm.core.registry import did_you_mean
from valm.errors import ConfigError, SourceError

PROBES = Path(__file__).with_name("tasks")


def run_tasks(
    *,
    model: Path,
    tasks: Sequence[str],
    results: Path,
    output: Path,
    pictures: str | None = None,
    include: Sequence[Path] = (),
    shots: int | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Write the harness's scores as JSON, and return them by task.

    Args:
        model: Manifest of a trained or converted model.
        tasks: Names of the harness's tasks, or patterns; ours are ``valm_colour`` and so on.
        results: Folder of results in which the model's tokenizer and retriever are looked for.
        output: The JSON file.
        pictures: A picture control in place of what the model was trained with.
        include: Folders of more task files. Task files may name code, which is run.
        shots: Examples before each question; None: as the task says.
        limit: Only the first so many documents of each task.

    Raises:
        SourceError: lm_eval is not installed, or a task's data cannot be had.
        ConfigError: There is no such task.
    """
    if importlib.util.find_spec("lm_eval") is None:
        cure = "pip install 'valm[lm_eval]'"
        raise SourceError("lm-evaluation-harness is not installed", cure=cure)
    import lm_eval
    from lm_eval.tasks import TaskManager

    from valm.harness.seeing import SeeingModel
    from valm.harness.valm_lm import ValmLM

    manager = TaskManager(include_path=[str(folder) for folder in (PROBES, *include)])
    for name in tasks:
        if not fnmatch.filter(manager.all_tasks, name):
            close = [task for task in manager.all_tasks if task[:3] == name[:3]] or ["valm_colour"]
            raise ConfigError(f"there is no task {name!r}", cure=did_you_mean(name, close))
    language_model = ValmLM(SeeingModel.load(model, results, pictures))
    try:
        found = lm_eval.simple_evaluate(
            language_model, tasks=list(tasks), task_manager=manager, num_fewshot=shots,
            limit=limit, log_samples=False, bootstrap_iters=1000,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        if not _is_about_data(error):
            raise
        what = str(error).strip().splitlines()[0]
        cure = (
            "HF_HUB_OFFLINE=0 lets the hub be asked; valm_colour, valm_shape, valm_size need none"
        )
        raise SourceError(f"a task's data cannot be had: {what}", cure=cure) from error
    scores = {
        "lm_eval": lm_eval.__version__,
        "model": read_manifest(model).digest,
        "pictures": language_model.model.pictures,
        "documents": limit,
        **{key: found[key] for key in ("results", "versions", "n-shot", "n-samples")},
    }
    write_json(output, scores)
    logger.info("wrote %s", output)
    return dict(found["results"])


def _is_about_data(error: Exception) -> bool:
    """Whether the harness failed for want of a data set, as datasets and the hub's client say it."""
    library = type(error).__module__.partition(".")[0]
    return library in ("datasets", "huggingface_hub") or isinstance(error, OSError)
