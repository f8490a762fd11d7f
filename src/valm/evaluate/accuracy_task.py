"""Accuracy as published and as corrected: the two metrics that all choice tasks share."""

from __future__ import annotations

from valm.evaluate.definitions import Definition

LEGACY_ACCURACY = Definition(
    "accuracy",
    "legacy",
    "Share of prompts x items whose most likely candidate token is right (micro-average).",
    scorer="raw",
)
CALIBRATED_ACCURACY = Definition(
    "accuracy",
    "corrected",
    "As legacy, after subtracting each candidate's mean log-probability under content-free prompts.",
    scorer="calibrated",
)
BALANCED_ACCURACY = Definition(
    "accuracy",
    "corrected",
    "Calibrated accuracy averaged over the classes, so that the most frequent answer scores 1/classes.",
    scorer="balanced",
)
ACCURACY = (LEGACY_ACCURACY, CALIBRATED_ACCURACY)
SKEWED_ACCURACY = (LEGACY_ACCURACY, BALANCED_ACCURACY)
