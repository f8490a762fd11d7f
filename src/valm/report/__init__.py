"""Scores become tables, figures, executed notebooks and one page."""
