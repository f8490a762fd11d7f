#!/usr/bin/env bash
# Our own package, as it lies in this checkout, enters the environment by one line.
set -euo pipefail
packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$PWD/src" > "$packages/valm.pth"
