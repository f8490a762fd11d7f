"""The official code's chunks of a text: cut behind signs, by the priority of the sign (VALM.md 3.1).

Only a text of more than 75 tokens is cut, and a sign of higher priority is looked for in all of the next
75 tokens before one of lower priority: where a cut falls depends on what follows. A token right behind a
cut has almost no past. Numbers can be held against the paper with it; ``windows`` has neither flaw.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_CHUNK = 75  # CLIP reads 77 positions, two of which start and end the text

# CLIP's ids of whole words: end of text, the filling of a padded text, then . ; ! : , ." ," ". ", ). ),
# / - in this order.
SEPARATORS = (
    49407, 0, 269, 282, 256, 281, 267, 1081, 3823, 2811, 4332, 1818, 2361, 270, 268,
)  # fmt: skip


def chunk_lengths(ids: Sequence[int]) -> list[int]:
    """The lengths of the chunks of one text, in order.

    Args:
        ids: CLIP's ids of the text.
    """
    lengths = []
    start = 0
    while len(ids) - start > LONGEST_CHUNK:
        within_reach = list(ids[start : start + LONGEST_CHUNK])
        found = (within_reach.index(sign) + 1 for sign in SEPARATORS if sign in within_reach)
        lengths.append(next(found, LONGEST_CHUNK))
        start += lengths[-1]
    return [*lengths, len(ids) - start] if start < len(ids) else lengths
