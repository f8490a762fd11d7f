"""A reference study for Visually-Augmented Language Modeling (arXiv 2205.10178)."""

__version__ = "0.1.0"
