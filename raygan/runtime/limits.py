"""How long anybody is waited for and how often anything is tried again: every limit in one place.

Those that a user may want to change are keys of the configuration (`ray.call_timeout_s`, `ray.max_restarts`, ...).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from raygan.config.schema import Config, RayConfig


@dataclass(frozen=True)
class Limits:
    """Limits of one run."""

    max_restarts: int = RayConfig().max_restarts
    """A worker is started again so often in a row: the configuration's `ray.max_restarts`."""
    rounds_repeated: int = 9
    """A round is run again so often, and a checkpoint written again."""
    failures_repeated: int = 1
    """A round that fails with everybody there is run again so often."""
    averages_repeated: int = 2
    """The averages of a round are computed again so often."""
    scores_repeated: int = 10
    """The scores of a round are computed again so often."""
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
    nodes_start_s: float = 600.0
    """Nodes that the autoscaler starts are waited for so long, where `ray.wait_for_nodes_s` says nothing."""
    nodes_free_s: float = 5.0
    """As above for others: Ray learns that what another run used is free."""
    settings_s: float = 6.0
    """The autoscaler's settings are waited for so long; without them it is taken to start no nodes."""
    reach_s: float = 5.0
    """A cluster answers within this time, or is not there."""
    ending_s: float = 10.0
    """A process that trained the run may need so long to end."""
    slack: float = 10.0
    """A call may take so many times the median of its method's calls, where that is longer than its limit."""


LIMITS = Limits()
"""Of every run, but for what the configuration says."""


def limits_of(config: Config) -> Limits:
    """The limits of a run."""
    return replace(LIMITS, max_restarts=config.ray.max_restarts)
