#!/usr/bin/env bash
# The default study, from raw files to report. Run again, it goes on where it was, or has nothing to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

report=results/report
[ -f "$report/report.manifest.json" ] || valm doctor
python workflow/release_lock.py
snakemake --cores "${CORES:-all}" --quiet host reason

# DVC records what was made. Floats differ by processor, so a record is this machine's own.
if git rev-parse --git-dir > /dev/null 2>&1 && ! dvc status --quiet; then
    dvc add --quiet data
    dvc commit --quiet --force
fi
echo "the report: $PWD/$report/index.html"
