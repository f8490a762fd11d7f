"""The command line: one verb a command, each with the same few options of a job."""

from __future__ import annotations

import os
import sys

import typer

from valm.cli import (
    ablation,
    baselines,
    compare,
    embed,
    evaluate,
    export,
    generate,
    ingest,
    lm_eval,
    report,
    retract,
    retrieve,
    serve,
    tools,
    train,
)
from valm.core.logs import logger
from valm.errors import ValmError

app = typer.Typer(
    help="The reference study for Visually-Augmented Language Modeling, verb by verb.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for phase in (
    ingest,
    embed,
    retrieve,
    retract,
    train,
    evaluate,
    baselines,
    ablation,
    report,
    compare,
    export,
    lm_eval,
    serve,
    generate,
    tools,
):
    phase.add_to(app)


def main() -> None:
    """Run one verb; a ValmError becomes one line and its exit code, its traceback goes to the log."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        app()
    except ValmError as error:
        logger.debug("traceback", exc_info=error)
        print(f"error: {error}", file=sys.stderr)
        for handler in logger.handlers:
            handler.flush()
        sys.exit(error.exit_code)
