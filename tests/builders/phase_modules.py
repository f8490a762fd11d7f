"""Which modules do a phase's work, its plug-ins among them, and which packages an environment's jobs import."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

import grimp
from builders.checkout import ROOT
from packaging.utils import canonicalize_name

from valm.cli.registries import REGISTRIES
from valm.config.verbs import VERBS

# The registries whose plug-ins do a part of a phase's work.
PLUGINS = {
    "ingest": ("ingest.pictures.sources", "ingest.text.sources"),
    "embed": ("embed.encoder",),
    "retrieve": ("embed.encoder",),
    "train": ("models.variants[].fusion", "models.variants[].pictures"),
    "evaluate": (
        "models.variants[].fusion", "models.variants[].pictures", "evaluate.tasks",
        "evaluate.controls", "embed.encoder",
    ),
    "report": (),
}  # fmt: skip
COMMAND_LINE = ("valm.cli.job_options", "valm.cli.registries")


def roots(phase: str) -> list[str]:
    """The modules of a phase's verbs, and of all plug-ins that they may use."""
    verbs = [verb.module for verb in VERBS.values() if verb.phase == phase]
    return verbs + _plugins(phase)


def _plugins(phase: str) -> list[str]:
    registries = [REGISTRIES[key] for key in PLUGINS[phase]]
    return [registry.module(name) for registry in registries for name in registry.names()]


def _verbs_in(environment: str) -> list[str]:
    """The modules of the verbs whose rules name a conda environment, of whatever phase they are."""
    rules = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "workflow/rules").iterdir()
    )
    named = re.findall(
        r"^rule (\w+):\n(?: .*\n|\n)*?    conda:\n +\"../../envs/(\w+).yaml\"", rules, re.M
    )
    environments = {rule.replace("_", "-"): found for rule, found in named}
    assert environments.keys() == VERBS.keys()
    return [VERBS[verb].module for verb, found in environments.items() if found == environment]


def distributions(environment: str) -> dict[str, tuple[set[str], set[str]]]:
    """For each package that an environment's jobs import, what brings it and who imports it."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    graph, bringing = _graph(), _bringing()
    of_environment = (*_verbs_in(environment), *_plugins(environment), *COMMAND_LINE)
    modules = {module for root in of_environment for module in _behind(graph, root)}
    for module in modules:
        for package in _imported(module):
            brought = {canonicalize_name(name) for name in bringing.get(package, [])}
            found.setdefault(package, (brought, set()))[1].add(module)
    return found


_bringing = cache(packages_distributions)


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("valm", cache_dir=None)


def _behind(graph: grimp.ImportGraph, module: str) -> set[str]:
    return {module} | graph.find_upstream_modules(module)


@cache
def _imported(module: str) -> frozenset[str]:
    """Packages that are neither ours nor the standard library's, imported anywhere in a module."""
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    names = set(_names(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))))
    return frozenset(names - {"valm"} - sys.stdlib_module_names)


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]
