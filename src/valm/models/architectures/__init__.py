"""Kinds of trunk: one registered plug-in a file."""
