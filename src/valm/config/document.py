"""The generated documents of the configuration: ``config.yaml``, its schema, its table of keys.

The models that ``valm.config.study`` gathers are the one source; a test fails when a document drifts.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from valm.config.study import Study
from valm.config.verbs import VERBS

YAML_HEADER = """\
# The default study, `small`. Generated from src/valm/config by `valm write-config`; edit a value
# freely, or put only what differs into config/studies/<name>.yaml and pass it by --configfile.
# config/README.md explains every key.

"""

README_HEADER = """\
# Every key of the configuration

Generated from `src/valm/config` by `valm write-config`. A study file in `config/studies/` is merged over
`config.yaml`: mappings are merged, lists and values replace. The last column names the verbs that read a key:
changing it re-runs their rules and what depends on them, nothing else. A verb in brackets reads a key that changes
no byte of what it makes: nothing runs again.

| key | type | default | meaning | read by |
|---|---|---|---|---|
"""


def documents() -> dict[Path, str]:
    """The three generated files, as paths from the repository's root and their texts."""
    schema = json.dumps(Study.model_json_schema(), indent=1, ensure_ascii=False) + "\n"
    return {
        Path("config.yaml"): default_yaml(),
        Path("config/schema.json"): schema,
        Path("config/README.md"): key_table(),
    }


def default_yaml() -> str:
    """The default study as YAML, each key with its description as a comment."""
    return YAML_HEADER + "\n".join(_yaml_lines(Study(), indent=0)) + "\n"


def _yaml_lines(model: BaseModel, indent: int) -> Iterator[str]:
    pad = "  " * indent
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if indent == 0 and isinstance(value, BaseModel):
            yield ""
        if isinstance(value, BaseModel):
            yield f"{pad}{name}:  # {field.description}"
            yield from _yaml_lines(value, indent + 1)
        else:
            yield from _yaml_leaf(name, value, field, pad)


def _yaml_leaf(name: str, value: Any, field: FieldInfo, pad: str) -> Iterator[str]:
    plain = _plain(value)
    if isinstance(plain, list) and plain and not isinstance(plain[0], int | float):
        yield f"{pad}{name}:  # {field.description}"
        for item in plain:
            yield f"{pad}  - {_flow(item)}"
    else:
        yield f"{pad}{name}: {_flow(plain)}  # {field.description}"


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {k: _plain(v) for k, v in value if v not in (None, {})}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _flow(value: Any) -> str:
    """A value as one line of YAML; 0.002 stays 0.002, not 2e-3 (which YAML reads as a text)."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...")


def key_table() -> str:
    """A Markdown table of every key: type, default, meaning, and the verbs that read it."""
    rows = []
    for path, field, default in all_keys():
        readers = [
            f"(`{name}`)" if path in verb.aside else f"`{name}`"
            for name, verb in VERBS.items()
            if any(_covers(r, path) for r in verb.reads)
        ]
        cells = [f"`{path}`", _type_name(field.annotation), default, field.description or ""]
        rows.append("| " + " | ".join([*cells, ", ".join(readers)]) + " |")
    return README_HEADER + "\n".join(rows) + "\n"


def all_keys() -> Iterator[tuple[str, FieldInfo, str]]:
    """Every key of the configuration: its path, its field, its default as text."""
    return _leaves(Study, Study(), "")


def _covers(read: str, path: str) -> bool:
    return path == read or path.startswith((f"{read}.", f"{read}[]"))


def _leaves(
    model: type[BaseModel], defaults: BaseModel | None, prefix: str
) -> Iterator[tuple[str, FieldInfo, str]]:
    """All keys below a settings model: path, field, default as text."""
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        value = getattr(defaults, name, None)
        item = _item_model(field.annotation)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _leaves(field.annotation, value, f"{path}.")
        elif item is not None:
            yield path, field, "see `config.yaml`"
            yield from _leaves(item, None, f"{path}[].")
        else:
            known = value is not None or (defaults is None and not field.is_required())
            shown = value if defaults is not None else field.get_default(call_default_factory=True)
            yield (
                path,
                field,
                f"`{_flow(_plain(shown))}`"
                if known
                else "required"
                if field.is_required()
                else "`null`",
            )


def _item_model(annotation: Any) -> type[BaseModel] | None:
    """The settings model of a list's items, if they are one."""
    if get_origin(annotation) is list:
        (item,) = get_args(annotation)
        if isinstance(item, type) and issubclass(item, BaseModel):
            return item
    return None


def _type_name(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(annotation))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(
            "null" if a is type(None) else _type_name(a) for a in get_args(annotation)
        )
    if origin in (list, tuple):
        return "list of " + _type_name(get_args(annotation)[0])
    if origin is dict:
        return "mapping"
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
