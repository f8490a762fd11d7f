"""Code fingerprints: a digest of the modules a verb imports, blind to comments and docstrings.

Snakemake cannot see edits inside a package that is called by ``python -m``. Rules carry this digest
in ``params``: an edit that can change a result changes it, a comment does not.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import grimp

from valm.core.digest import digest_data, sha256_text

PACKAGE = "valm"
# What every verb passes through and what cannot change a result: parsing, logs, progress, errors;
# and the settings models, whose values reach a verb in its section.
SILENT = (
    "valm.cli",
    "valm.config",
    "valm.errors",
    "valm.core.fingerprint",
    "valm.core.logs",
    "valm.core.progress",
)


@cache
def _import_graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, cache_dir=None)


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                if isinstance(first.value.value, str):
                    node.body = node.body[1:] or [ast.Pass()]
    return tree


def source_digest(source: str) -> str:
    """Digest of a Python source's syntax tree; comments, docstrings and layout do not count."""
    return sha256_text(ast.dump(_without_docstrings(ast.parse(source))))[:16]


@cache
def _module_digest(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return source_digest(Path(spec.origin).read_text(encoding="utf-8"))


@cache
def modules_behind(module: str) -> frozenset[str]:
    """All modules of the package that a module imports, directly or through others, and itself."""
    found = {module} | _import_graph().find_upstream_modules(module)
    return frozenset(m for m in found if not m.startswith(SILENT))


def module_digests(roots: Iterable[str]) -> dict[str, str]:
    """The digest of each module behind the given root modules, by module name."""
    modules = sorted(set().union(*(modules_behind(root) for root in roots)))
    return {module: _module_digest(module) for module in modules}


def changed_modules(recorded: Mapping[str, str]) -> dict[str, str]:
    """What became of modules since their digests were recorded: "has changed" or "is gone"."""
    changed = {}
    for module, digest in recorded.items():
        try:
            if _module_digest(module) != digest:
                changed[module] = "has changed"
        except ModuleNotFoundError:
            changed[module] = "is gone"
    return changed


def code_digest(*roots: str) -> str:
    """One 16-digit digest of all code behind the given root modules."""
    return digest_data(module_digests(roots))
