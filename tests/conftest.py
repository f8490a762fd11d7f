"""What all tests share: one thread a process, no hub, and the mirror that lies beside the checkout."""

import os
from pathlib import Path

from hypothesis import settings

# Before numpy and torch are imported. Two processes with two threads each are slower than with one.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

BESIDE = Path(__file__).parents[2] / "shared" / "mirror"
if BESIDE.is_dir():
    os.environ.setdefault("VALM_MIRROR", str(BESIDE))

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")
