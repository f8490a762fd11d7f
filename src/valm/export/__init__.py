"""Trained models leave for other tools, and checkpoints of the official code come in."""
