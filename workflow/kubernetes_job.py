"""Runs Snakemake's jobs as Kubernetes jobs that mount the volume on which this checkout lies.

The executor ``cluster-generic`` calls it (workflow/profiles/kubernetes): ``submit`` starts a job script and
prints the job's name, ``status`` prints what became of it: running, success or failed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

# Set by whoever runs it: the image, the volume's claim, and the folder that it is mounted at.
SETTINGS = ("VALM_IMAGE", "VALM_CLAIM", "VALM_VOLUME")


def job(script: Path, threads: int, memory_mb: int, gpus: int) -> dict[str, Any]:
    """A Kubernetes job that runs a script in this folder, once: Snakemake decides about retries."""
    image, claim, mount = (os.environ[name] for name in SETTINGS)
    size = {"cpu": str(threads), "memory": f"{memory_mb}M"}
    limits = {"memory": size["memory"]} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    container = {
        "name": "job",
        "image": image,
        "command": ["bash", str(script.resolve())],
        "workingDir": str(Path.cwd()),
        "resources": {"requests": size, "limits": limits},
        "volumeMounts": [{"name": "checkout", "mountPath": mount}],
    }
    volume = {"name": "checkout", "persistentVolumeClaim": {"claimName": claim}}
    pod = {"restartPolicy": "Never", "containers": [container], "volumes": [volume]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "valm-"},
        "spec": {"backoffLimit": 0, "template": {"spec": pod}},
    }


def kubectl(*arguments: str, given: str | None = None) -> str:
    """What kubectl answers."""
    run = subprocess.run(
        ["kubectl", *arguments], input=given, text=True, stdout=subprocess.PIPE, check=True
    )
    return run.stdout.strip()


def state(name: str) -> str:
    """What became of a job, in Snakemake's words."""
    status = json.loads(kubectl("get", name, "--output", "json")).get("status", {})
    if status.get("succeeded"):
        return "success"
    return "failed" if status.get("failed") else "running"


def main() -> None:
    """Submit or ask."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    submit = commands.add_parser("submit")
    for option in ("--threads", "--memory-mb", "--gpus"):
        submit.add_argument(option, type=int, required=True)
    submit.add_argument("script", type=Path)
    commands.add_parser("status").add_argument("name")
    asked = parser.parse_args()
    if asked.command == "status":
        print(state(asked.name))
        return
    missing = [name for name in SETTINGS if not os.environ.get(name)]
    if missing:
        sys.exit(f"error: {', '.join(missing)} not set -> see workflow/profiles/kubernetes")
    if not Path.cwd().is_relative_to(os.environ["VALM_VOLUME"]):
        sys.exit(f"error: {Path.cwd()} is not on the volume -> run it in a checkout on VALM_VOLUME")
    made = job(asked.script, asked.threads, asked.memory_mb, asked.gpus)
    print(kubectl("create", "--filename", "-", "--output", "name", given=json.dumps(made)))


if __name__ == "__main__":
    main()
