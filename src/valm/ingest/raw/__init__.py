"""Pinned packages and files: fetched, verified, read without being extracted."""
