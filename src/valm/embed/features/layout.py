"""What a row of ``features.npy`` holds; apart from the network, whose libraries take seconds to load."""

from __future__ import annotations

from valm.ingest.probes import COLOURS

PACKAGE = "pip_efficientnet_lite0"  # the network's weights, by their name in the sources lock
POOLED_WIDTH, CLASSES = 1280, 1000
NETWORK_WIDTH = POOLED_WIDTH + CLASSES
FEATURE_WIDTH = NETWORK_WIDTH + len(COLOURS)
