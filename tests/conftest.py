"""What all tests share: one thread a process, and no hub."""

import os

# Before numpy and torch are imported. Two processes with two threads each are slower than with one.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
