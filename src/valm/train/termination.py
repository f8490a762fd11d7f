"""SIGTERM: noted when it comes, answered after the step at hand, by all processes together."""

from __future__ import annotations

import signal
import threading
from types import FrameType

import pytorch_lightning as lightning


class Termination:
    """Takes SIGTERM over from Lightning, whose handler talks to the other processes in mid-step.

    Lightning puts the handlers back that were there before it.
    """

    def __init__(self) -> None:
        self.received = False

    def listen(self) -> None:
        """Note the signal from now on; only a main thread can."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    def wanted(self, trainer: lightning.Trainer) -> bool:
        """Whether any process was asked to end; all processes ask this after the same step."""
        if trainer.world_size == 1:
            return self.received
        return bool(trainer.strategy.reduce_boolean_decision(self.received, all=False))
