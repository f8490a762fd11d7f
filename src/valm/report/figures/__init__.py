"""Frames as figures; nothing is read here."""
