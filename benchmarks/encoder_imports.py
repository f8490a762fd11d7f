"""What a job that reads an encoder spends on imports: our text transformer, beside open_clip's.

Every measurement is a fresh process that imports the trained encoder's module; the other side imports open_clip's
transformer as well, as that module did when its tower was open_clip's. The two take turns.

Prints one JSON line: the medians of processor seconds, and their ratio.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys

SIDES = {
    "ours": "import valm.embed.encoders.two_tower",
    "open_clip": "import valm.embed.encoders.two_tower, open_clip.transformer",
}


def processor_seconds(statement: str) -> float:
    """Processor time of a fresh interpreter that runs one statement."""
    code = f"import time\n{statement}\nprint(time.process_time())"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(run.stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side, statement in SIDES.items():
            measured[side].append(processor_seconds(statement))
    medians = {side: round(statistics.median(values), 2) for side, values in measured.items()}
    ratio = round(medians["open_clip"] / medians["ours"], 2)
    print(json.dumps({"processor_seconds": medians, "ratio": ratio, "rounds": rounds}))


if __name__ == "__main__":
    main()
