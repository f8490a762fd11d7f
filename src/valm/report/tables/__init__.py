"""Frames as tables, beside the paper's."""
