"""Choosing the cuts: a latency model, a genetic algorithm, and the proven optimum.

Works from numbers alone, without torch and without a network; everybody else imports from here only. Read the code
in this order: `cost` (what the planner is told), `cut` (what it may choose), `latency` (the model), `problem`
(tables and classes of clients), `program` and `exact` (the optimum), `genetic`, `planner` (the front door),
`schedule` (who waits for whom), `study` (what the command line prints), `timeline` (the picture).
"""

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import (
    Anchor,
    body_blocks,
    check_cut,
    head_blocks,
    local_blocks,
    tail_blocks,
    valid_cuts,
)
from raygan.cuts.planner import Plan, fixed_plan, fleet, plan, plan_config
from raygan.cuts.schedule import Breakdown, ClientPass, Phase
from raygan.cuts.study import Baseline, Study, plan_study
from raygan.cuts.timeline import draw_timeline
from raygan.names import Cut, Cuts

__all__ = [
    "Anchor",
    "Baseline",
    "Breakdown",
    "ClientPass",
    "Cut",
    "Cuts",
    "Device",
    "NetworkCost",
    "Phase",
    "Plan",
    "Server",
    "Study",
    "body_blocks",
    "check_cut",
    "draw_timeline",
    "fixed_plan",
    "fleet",
    "head_blocks",
    "local_blocks",
    "plan",
    "plan_config",
    "plan_study",
    "tail_blocks",
    "valid_cuts",
]
