"""The viewer: ``valm serve``."""

from __future__ import annotations

from typing import Annotated

import typer

from valm.cli.job_options import DEFAULT_CONFIG, ConfigFiles, Log
from valm.cli.registries import checked_study
from valm.core.logs import configure_logs, logger


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; another than loopback opens it to the net.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8017,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the models that are asked; by default the first.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="Preset that pictures are found by; by default the first.")
    ] = None,
    config: ConfigFiles = DEFAULT_CONFIG,
    log: Log = None,
) -> None:
    """Open a local page: a prompt's pictures token by token, and what each model makes of them."""
    configure_logs(log)
    import uvicorn

    from valm.serve.app import LOOPBACK, make_app
    from valm.serve.open_study import OpenStudy

    app = make_app(OpenStudy(checked_study(config), seed, preset), (*LOOPBACK, host))
    logger.info("the viewer: http://%s:%d/ (end with Ctrl-C)", host, port)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("serve")(serve)
