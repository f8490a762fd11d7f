"""Accuracy as published and as corrected: the metrics that choice tasks share."""

from __future__ import annotations

from valm.evaluate.questions.definitions import Definition

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

# Where a label may be several tokens: as published, its first one stands for it.
FIRST_PIECE_ACCURACY = Definition(
    "accuracy",
    "legacy",
    "Share of prompts x items whose label has the most likely first token (micro-average).",
    scorer="raw",
)
CALIBRATED_LABEL_ACCURACY = Definition(
    "accuracy",
    "corrected",
    "By the log-probability of the whole label, less its mean under content-free prompts (PMI).",
    scorer="calibrated",
)
FULL_LABEL_ACCURACY = Definition(
    "accuracy_uncalibrated",
    "corrected",
    "By the log-probability of the whole label, as it is.",
    scorer="full_label",
)
MACRO_F1 = Definition(
    "macro_f1",
    "corrected",
    "F1 of each class that occurs, averaged over the classes; whole labels, calibrated (PMI).",
    scorer="macro_f1",
)
LABEL_ACCURACY = (FIRST_PIECE_ACCURACY, CALIBRATED_LABEL_ACCURACY, FULL_LABEL_ACCURACY)
