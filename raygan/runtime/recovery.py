"""What happens when something is missing: one table of rules, and one function that reads it.

Whoever finds that somebody is missing says so in a `Missing` and does what `decide` answers. How an action is done is
the affair of the engine, the roster of workers, the pending scores and the federation; what is done stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from raygan.runtime.limits import LIMITS, Limits
from raygan.wire.records import Lost, Why

Role = Literal["worker", "server", "aggregator", "evaluator", "round"]
"""`round`: what is missing is not one party, but enough of them for a round, or the round's outcome."""
Phase = Literal["start", "join", "step", "round_end", "checkpoint", "scores"]
"""`start`: before the first round. `join`: once it has been started again, until it is back."""
Cause = Why | Literal["too_few", "unwritten", "unexplained"]
"""The last three of rounds only: too few clients, a checkpoint that not everybody wrote, a failure without a loss."""
Action = Literal[
    "sit_out", "restart", "set_aside", "repeat", "rewind", "go_on", "wait", "no_scores", "stop"
]  # fmt: skip
ACTIONS: dict[Action, str] = {
    "sit_out": "the others go on without it; it takes over its model's average when it is back",
    "restart": "the others go on; a new actor takes its place, and takes over its model's average",
    "set_aside": "it takes no part any more, with a warning",
    "repeat": "the work is done again, by a new actor where one was lost",
    "rewind": "the run goes back to its last checkpoint",
    "go_on": "the next round begins meanwhile",
    "wait": "the next round waits",
    "no_scores": "the round has no scores",
    "stop": "the run stops; its last checkpoint is whole",
}
"""What is done, in plain words."""
LimitName = Literal[
    "max_restarts", "rounds_repeated", "failures_repeated", "averages_repeated", "scores_repeated", "rounds_unscored"
]  # fmt: skip
"""Limits that count; the others are times."""


@dataclass(frozen=True)
class Missing:
    """Who is missing, when, why, and why in words for people."""

    role: Role
    phase: Phase
    why: Cause
    reason: str = ""

    @classmethod
    def lost(cls, role: Role, phase: Phase, lost: Lost) -> Missing:
        """Whoever should have sent a record that is lost."""
        return cls(role, phase, lost.why, lost.reason)


@dataclass(frozen=True)
class Rule:
    """A row of the table: what is done in each of these phases for each of these causes."""

    roles: tuple[Role, ...]
    phases: tuple[Phase, ...]
    whys: tuple[Cause, ...]
    missing: str
    """Who is missing, in plain words."""
    action: Action
    limit: LimitName | None = None
    """How often the action may be taken; None: always."""
    beyond: Action | None = None
    """What is done beyond the limit."""


WORKER: tuple[Role, ...] = ("worker",)
SERVER: tuple[Role, ...] = ("server",)
AGGREGATOR: tuple[Role, ...] = ("aggregator",)
EVALUATOR: tuple[Role, ...] = ("evaluator",)
ROUND: tuple[Role, ...] = ("round",)
GONE: tuple[Why, Why] = ("dead", "hung")
"""An actor that hangs is ended, and is lost like a dead one."""

RULES = (
    Rule(("worker", "server", "evaluator"), ("start",), ("unfit",),
         "an actor that cannot begin: it finds its data damaged, or is not there within `ray.start_timeout_s`", "stop"),
    Rule(WORKER, ("start",), GONE, "a client, before the first round", "restart", "max_restarts", "stop"),
    Rule(WORKER, ("step", "round_end", "checkpoint", "join"), GONE, "a client, or its new actor before it is back",
         "restart", "max_restarts", "set_aside"),
    Rule(WORKER, ("join",), ("unfit",), "a client whose new actor cannot begin", "set_aside"),
    Rule(WORKER, ("join",), ("late",),
         f"a client whose new actor is not there within {LIMITS.join_s:g} s, such as one whose node is gone", "sit_out"),
    Rule(WORKER, ("step",), ("late",), "a client that misses a step's deadline (`ray.step_deadline_s`)", "sit_out"),
    Rule(WORKER, ("round_end",), ("not_finite", "unfit"),
         "a client whose numbers are not finite, or that must read its data again and finds it damaged", "sit_out"),
    Rule(ROUND, ("join",), ("late",), "every client, until one has a new actor", "wait"),
    Rule(ROUND, ("join", "round_end", "checkpoint"), ("too_few",),
         "so many clients that fewer than `training.min_clients` are left", "stop"),
    Rule(ROUND, ("round_end",), ("late",), "every client of a round, since none met the step's deadline", "stop"),
    Rule(ROUND, ("round_end",), (*GONE, "unfit"), "every client of a round, or an average", "rewind",
         "rounds_repeated", "stop"),
    Rule(AGGREGATOR, ("round_end",), ("dead",), "an aggregator, while it averages", "repeat", "averages_repeated",
         "rewind"),
    Rule(AGGREGATOR, ("checkpoint", "join"), GONE,
         "an aggregator, before its model is in the checkpoint and with every client that is back", "rewind",
         "rounds_repeated", "stop"),
    Rule(SERVER, ("step", "round_end", "checkpoint"), GONE, "the body, or one of its replicas", "rewind",
         "rounds_repeated", "stop"),
    Rule(SERVER, ("round_end",), ("not_finite", "unfit"),
         "a body whose numbers are not finite, or that saw no client in the round", "rewind", "rounds_repeated", "stop"),
    Rule(ROUND, ("round_end",), ("unexplained",), "for any of these reasons a round, though every actor is there",
         "rewind", "failures_repeated", "stop"),
    Rule(ROUND, ("checkpoint",), ("unwritten",), "a checkpoint, since a client was lost while it was written",
         "repeat", "rounds_repeated", "stop"),
    Rule(EVALUATOR, ("scores",), GONE, "the evaluator", "repeat", "scores_repeated", "no_scores"),
    Rule(EVALUATOR, ("join",), ("late", "unfit"),
         "an evaluator that is not back, or must read its data again and finds it damaged", "no_scores"),
    Rule(EVALUATOR, ("scores",), ("late",), "rounds whose scores take longer than training", "go_on",
         "rounds_unscored", "wait"),
)  # fmt: skip
"""Every row once; no case has two."""

BY_CASE = {
    (role, phase, why): rule for rule in RULES for role in rule.roles for phase in rule.phases for why in rule.whys
}


def decide(missing: Missing, times: int = 0, limits: Limits = LIMITS) -> Action:
    """What is done about whoever is missing.

    Args:
        times: how often it has happened, this time included: losses of a worker in a row, times that the round was
            lost, rounds that wait for their scores. 0: what is done where no limit is reached.

    Raises:
        KeyError: no rule has the case, which is a bug.
    """
    rule = BY_CASE[missing.role, missing.phase, missing.why]
    if rule.limit is None or rule.beyond is None or times <= getattr(limits, rule.limit):
        return rule.action
    return rule.beyond
