"""Seeds: one integer in the config, from which every random stream is derived by name."""

from __future__ import annotations

import hashlib

import numpy as np


def derive_seed(seed: int, *names: str | int) -> int:
    """Derive a 63-bit seed for one named use, so that no two uses share a stream."""
    text = "/".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator for one named use."""
    return np.random.default_rng(derive_seed(seed, *names))


def unit_interval(text: str, salt: str = "") -> float:
    """Map a text to [0, 1) by its hash: the same document falls on the same side of every split."""
    digest = hashlib.sha256(f"{salt}\x00{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
