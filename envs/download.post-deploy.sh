#!/usr/bin/env bash
# Our own package, as it lies in this checkout, enters the environment by one line.
# A pin file brings conda's part only: where there is one, pip's part comes from here.
set -euo pipefail
if [ -f envs/download.linux-64.pin.txt ]; then
    python -m pip install --quiet --no-input --require-hashes --requirement requirements/download.txt
fi
packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$PWD/src" > "$packages/valm.pth"
