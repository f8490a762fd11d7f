"""Registries of plug-ins: one file a plug-in, found by its file name, imported when asked for."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Iterable
from typing import Generic, TypeVar

from valm.errors import ConfigError

T = TypeVar("T")


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """Suggest the closest known name, then list all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return f"{hint}known: {', '.join(names)}"


class Registry(Generic[T]):
    """The plug-ins of one kind: every public module of a package that sets ``PLUGIN``.

    The module's name is the plug-in's name. Listing the names imports nothing, so the
    configuration can be checked without torch.

    Args:
        what: What a plug-in is called in messages ("fusion", "task").
        package: Dotted name of the package that holds one module a plug-in.
    """

    def __init__(self, what: str, package: str):
        self.what, self.package = what, package

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted."""
        package = importlib.import_module(self.package)
        modules = pkgutil.iter_modules(package.__path__)
        return sorted(module.name for module in modules if not module.name.startswith("_"))

    def module(self, name: str) -> str:
        """Dotted module name of a plug-in; part of the code fingerprint of what uses it.

        Raises:
            ConfigError: There is no such plug-in.
        """
        if name not in self.names():
            raise ConfigError(
                f"there is no {self.what} named {name!r}", cure=did_you_mean(name, self.names())
            )
        return f"{self.package}.{name}"

    def get(self, name: str) -> T:
        """Import a plug-in's module and return its ``PLUGIN``."""
        plugin: T = importlib.import_module(self.module(name)).PLUGIN
        return plugin
