"""What a results folder holds, phase by phase, as plain text."""

from __future__ import annotations

from pathlib import Path

from valm.core.manifest import Manifest
from valm.report.results import PHASES, Results
from valm.report.words.numbers import number, size


def describe(results: Path) -> str:
    """Say what exists in a study's results: artifacts by phase with kind, rows and bytes."""
    study = Results(results)
    by_phase = {phase: study.manifests(phase) for phase in PHASES}
    if not any(by_phase.values()):
        return f"{results}: nothing has been made yet -> make study"
    return "\n\n".join(_phase(phase, by_phase[phase], study.made_by_others()) for phase in PHASES)


def _phase(phase: str, manifests: dict[str, Manifest], makers: dict[str, str]) -> str:
    if not manifests:
        return f"{phase}: nothing yet"
    total = sum(_bytes(manifest) for manifest in manifests.values())
    lines = [f"{phase}: {len(manifests)} artifacts, {size(total)}"]
    width = max(len(name) for name in manifests)
    for name, manifest in manifests.items():
        rows = f"{number(manifest.rows):>12} rows"
        line = f"  {name:<{width}}  {manifest.kind:<18}{rows}  {size(_bytes(manifest)):>9}"
        maker = makers.get(f"{phase}/{name}")
        lines.append(f"{line}  made by the study {maker}" if maker else line)
    return "\n".join(lines)


def _bytes(manifest: Manifest) -> int:
    return sum(entry.bytes for entry in manifest.files.values())
