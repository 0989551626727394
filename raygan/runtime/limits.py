"""How long anybody is waited for and how often anything is tried again: every limit of recovery in one place.

Those that a user may want to change are keys of the configuration (`ray.call_timeout_s`, `ray.max_restarts`, ...).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of one run."""

    rounds_repeated: int = 10
    """A round that is lost this often is given up, and so is a checkpoint that cannot be written."""
    averages_repeated: int = 3
    """Averages over which aggregators are lost this often are given up, and the round with them."""
    scores_repeated: int = 10
    """Scores over which the evaluator is lost more often are given up."""
    rounds_unscored: int = 2
    """Rounds that may wait for their scores: their models stay in the object store until then."""
    join_s: float = 30.0
    """A new actor is waited for so long; one whose node is gone may take minutes, and joins after a later round."""
    look_s: float = 0.05
    """Those that have been waited for are looked for."""
    watch_s: float = 1.0
    """A wait that lasts longer looks so often whether an actor hangs."""
    usage_s: float = 5.0
    """Numbers that nobody needs are not waited for longer."""
    slack: float = 10.0
    """A call may take so many times the median of its method's calls, where that is longer than its limit."""


LIMITS = Limits()
