"""The pictures of the very thing that is asked about, found by name instead of by retrieval.

What is lost between it and the retrieved pictures, retrieval loses; what remains between it and the
right answer, the model does. ``illustrate-task`` finds them, so the control exists at evaluation only.
"""

from __future__ import annotations

from valm.retrieve.controls.retrieved import Retrieved


class Oracle(Retrieved):
    """Gives the rows that it is handed, as retrieval does; these are the things' own."""


PLUGIN = Oracle()
