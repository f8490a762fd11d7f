"""A job: one verb with the config section, code fingerprint and choices that it was handed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter

from valm.core.atomic import write_json
from valm.core.digest import digest_data
from valm.core.manifest import Manifest, Recipe, job_fingerprint, read_manifest, write_manifest
from valm.core.work import JOB_NOTE, work_directory

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Job:
    """What every verb gets first.

    Attributes:
        verb: The verb's name.
        section: The nodes of the configuration that the verb reads, by dotted key path.
        code: Fingerprint of the code behind the verb.
        choices: What the rule's wildcards chose (a split, a model, a seed).
        threads: Threads that the job may use.
        modules: The digest of each module behind the job, for its manifest's recipe.
        aside: Keys that the verb reads and that change no result, by dotted key path: in no digest.
    """

    verb: str
    section: Mapping[str, Any]
    code: str
    choices: Mapping[str, str | int] = field(default_factory=dict)
    threads: int = 1
    modules: Mapping[str, str] = field(default_factory=dict)
    aside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def config_digest(self) -> str:
        """Digest of section and choices."""
        return digest_data({"section": dict(self.section), "choices": dict(self.choices)})

    def settings(self, path: str, model: type[M]) -> M:
        """The node at a key path, as its settings model."""
        prefix = f"{path}."
        aside = {k.removeprefix(prefix): v for k, v in self.aside.items() if k.startswith(prefix)}
        return model.model_validate({**self.section[path], **aside})

    def value(self, path: str, kind: type[Any] | Any) -> Any:
        """The leaf at a key path, validated as a type (``int``, ``list[str]``, ...)."""
        return TypeAdapter(kind).validate_python(self.section[path])

    @property
    def seed(self) -> int:
        """The study's seed."""
        return int(self.section["seed"])

    def fingerprint(self, parents: Iterable[Path] = ()) -> str:
        """Digest of everything the result depends on: config, code and inputs."""
        digests = [read_manifest(path).digest for path in parents]
        return job_fingerprint(self.config_digest, self.code, digests)

    @contextmanager
    def work(self, parents: Iterable[Path] = (), *, helps: bool = False) -> Iterator[Path]:
        """Hold this job's work directory, which a killed run of the same job has left as it was.

        Args:
            helps: This process is one of several that do the job, and another one holds it.
        """
        parents = list(parents)
        with work_directory(self.verb, self.fingerprint(parents), helps=helps) as directory:
            if not helps:
                write_json(directory / JOB_NOTE, self.note(parents))
            yield directory

    def note(self, parents: Iterable[Path] = ()) -> dict[str, Any]:
        """All that the result depends on, key by key, as it is noted in the work directory."""
        digests = {path.as_posix(): read_manifest(path).digest for path in parents}
        return self._recipe.model_dump() | {"parents": digests}

    @property
    def _recipe(self) -> Recipe:
        """What the digests of configuration and code were taken of."""
        return Recipe(
            section=dict(self.section), choices=dict(self.choices), modules=dict(self.modules)
        )

    def finish(
        self,
        manifest: Path,
        *,
        kind: str,
        rows: int,
        files: Iterable[Path],
        parents: Iterable[Path] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Manifest:
        """Write the manifest of the finished result; the last thing a verb does."""
        return write_manifest(
            manifest,
            kind=kind,
            rows=rows,
            files=files,
            producer=self.verb,
            config_digest=self.config_digest,
            code_digest=self.code,
            recipe=self._recipe,
            parents=parents,
            facts=facts,
        )
