"""The parameters that a plug-in takes, read from its source: so a misspelt one ends a study at once.

Importing a plug-in may load torch, which who only reads the configuration does without. Whether the
values are right, the plug-in's own ``Params`` says when a verb uses it.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from valm.core.registry import did_you_mean
from valm.errors import ConfigError

PARAMS = "Params"

Keys = Mapping[str, Any]  # for each key those below it, if its value is a settings model, or None


@cache
def keys_of(module: str, model: str = PARAMS) -> Keys | None:
    """The keys of a settings model that a module defines or takes from another one of ours.

    Args:
        module: Dotted name.
        model: Name of the class.

    Returns:
        The keys, inherited ones among them; None if the module knows no class of that name.
    """
    for node in _statements(module):
        if isinstance(node, ast.ClassDef) and node.name == model:
            keys: dict[str, Any] = {}
            for base in node.bases:
                if isinstance(base, ast.Name):
                    keys |= keys_of(module, base.id) or {}
            for field in node.body:
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                    kind = field.annotation
                    below = keys_of(module, kind.id) if isinstance(kind, ast.Name) else None
                    keys[field.target.id] = below
            return keys
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("valm."):
            if any(alias.name == model for alias in node.names):
                return keys_of(str(node.module), model)
    return None


def check_keys(module: str, given: Mapping[str, Any], where: str) -> None:
    """Compare the parameters that a study gives to a plug-in with those that it takes.

    Args:
        module: The plug-in's module.
        given: The parameters.
        where: Their key path.

    Raises:
        ConfigError: Naming the first that it does not take, with the closest that it does.
    """
    _check(keys_of(module) or {}, given, where)


def _check(keys: Keys, given: Mapping[str, Any], where: str) -> None:
    for name, value in given.items():
        if name not in keys:
            cure = did_you_mean(name, keys) if keys else "it takes none"
            raise ConfigError(f"unknown parameter {name!r}", where=where, cure=cure)
        if keys[name] is not None and isinstance(value, Mapping):
            _check(keys[name], value, f"{where}.{name}")


@cache
def _statements(module: str) -> list[ast.stmt]:
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None, module
    return ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body
