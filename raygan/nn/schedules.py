"""Learning-rate schedules by name: the share of `training.lr` in a round, r of R rounds from 0.

A rate is constant inside a round. Free of torch.
"""

from __future__ import annotations

import math


def constant(round_number: int, num_rounds: int) -> float:
    """1."""
    return 1.0


def linear(round_number: int, num_rounds: int) -> float:
    """1 - r / R: down to 1 / R in the last round."""
    return 1 - round_number / num_rounds


def cosine(round_number: int, num_rounds: int) -> float:
    """(1 + cos(pi r / R)) / 2 (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts)."""
    return (1 + math.cos(math.pi * round_number / num_rounds)) / 2
