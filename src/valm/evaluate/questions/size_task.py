"""Metrics of pairs of things of which one is larger.

The official metric asks only "is the larger one larger?", so that always answering yes scores
100 % (VALM.md 6.5). Asked in both orders, a constant answer scores 50 %.
"""

from __future__ import annotations

from valm.evaluate.questions.definitions import Definition


def legacy_size_accuracy(part: str, quirk: str = "") -> Definition:
    """The published metric over the questions of a part, all of which are answered by yes."""
    text = "Share of prompts x pairs answered yes, the larger thing always named first."
    return Definition("accuracy", "legacy", f"{text} {quirk}".strip(), scorer="raw", part=part)


BOTH_ORDERS = Definition(
    "accuracy",
    "corrected",
    "Share of right answers over both orders; a constant answer scores 50 %.",
    scorer="both_orders",
)
PAIR_CONSISTENCY = Definition(
    "pair_consistency",
    "corrected",
    "Share of prompts x pairs with the right answer in both orders.",
    scorer="pair_consistency",
)
CALIBRATED_BOTH_ORDERS = Definition(
    "accuracy_calibrated",
    "corrected",
    "Both orders, after subtracting the mean log-probability of yes and no under content-free prompts.",
    scorer="calibrated_both_orders",
)
SIZE_METRICS = (BOTH_ORDERS, PAIR_CONSISTENCY)
