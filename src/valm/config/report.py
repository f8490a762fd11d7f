"""Settings of report: what the notebooks and the page show."""

from __future__ import annotations

from pydantic import Field

from valm.config.base import Settings


class Report(Settings):
    """What the notebooks and the HTML report show."""

    prompts: list[str] = Field(
        [
            "the color of a banana is",
            "the color of a strawberry is",
            "the color of a frog is",
            "the color of an elephant is",
            "the color of a carrot is",
            "the color of snow is",
            "a tomato is a fruit",
            "a fast red car",
            "the shape of a ball is",
            "the shape of a pizza box is",
            "a whale is larger than a mouse",
            "she gave him a heart",
        ],
        description="Prompts whose retrieved pictures are shown.",
    )
