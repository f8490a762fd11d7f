"""Numbers as readers meet them: shares in percent, differences with a sign, sizes with a unit."""

from __future__ import annotations

import math
from collections.abc import Callable

NOTHING = "–"
MINUS = "\N{MINUS SIGN}"
UNBROKEN = "\N{NO-BREAK SPACE}"
DECIMALS = {"share": 1, "nats": 4}


def scaled(value: float, unit: str) -> float:
    """A share becomes percent; other units stay."""
    return value * 100 if unit == "share" else value


def number(value: float | None, decimals: int = 0, *, sign: bool = False) -> str:
    """A number with thousands separated; a dash for None and NaN."""
    if value is None or math.isnan(value):
        return NOTHING
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def fixed(decimals: int) -> Callable[[float | None], str]:
    """A function that writes numbers with so many decimals."""
    return lambda value: number(value, decimals)


def percent(share: float | None) -> str:
    """A share in percent, without the sign: 26.8 for 0.268."""
    return score(share, "share")


def plain(text: str | None) -> str:
    """A text as it is; a dash for None."""
    return NOTHING if text is None else text


def score(value: float | None, unit: str) -> str:
    """A score in its unit, without the unit's sign: 26.8 for a share of 0.268."""
    if value is None:
        return NOTHING
    return number(scaled(value, unit), _decimals(value, unit))


def with_interval(
    value: float | None, low: float | None, high: float | None, unit: str, *, sign: bool = False
) -> str:
    """A score or difference and its interval: ``26.8 [22.1, 31.5]``."""
    if value is None:
        return NOTHING
    first = number(scaled(value, unit), _decimals(value, unit), sign=sign)
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return first
    return f"{first} {interval(low, high, unit, sign=sign)}"


def interval(low: float, high: float, unit: str, *, sign: bool = False) -> str:
    """An interval in its unit, which no line break parts: ``[22.1, 31.5]``."""
    decimals = _decimals((low + high) / 2, unit)
    ends = (number(scaled(end, unit), decimals, sign=sign) for end in (low, high))
    return f"[{f',{UNBROKEN}'.join(ends)}]"


def _decimals(value: float, unit: str) -> int:
    """Decimals that a reader can use: one for percent, four figures for perplexities."""
    if unit == "perplexity":
        return 2 if abs(value) < 100 else 1 if abs(value) < 1000 else 0
    return DECIMALS.get(unit, 3)


def size(count: float | None) -> str:
    """Bytes in the unit that suits them: ``1.4 MB``."""
    if count is None or math.isnan(count):
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def duration(seconds: float | None) -> str:
    """Seconds as a reader says them: ``42 s``, ``3 min 20 s``, ``1 h 5 min``."""
    if seconds is None or math.isnan(seconds):
        return NOTHING
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def probability(p: float | None) -> str:
    """A p value: three decimals, or that it is smaller."""
    if p is None or math.isnan(p):
        return NOTHING
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
