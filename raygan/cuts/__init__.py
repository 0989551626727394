"""Choosing the cuts: a latency model, the published genetic algorithm, and the proven optimum.

Works from numbers alone, without torch and without a network. Read the code in this order: `cost` (what the
planner is told), `cut` (what it may choose), `latency` (the model), `problem`, `program` and `exact` (the
optimum), `genetic` (the published way), `planner` (the front door), `study` (what the command line prints).
"""

from raygan.cuts.baselines import Baseline
from raygan.cuts.breakdown import Breakdown, ClientPass, Phase
from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import Anchor, Cut, Cuts, local_blocks, valid_cuts
from raygan.cuts.planner import Plan, fixed_plan, plan
from raygan.cuts.study import Study, fleet, plan_config, plan_study
from raygan.cuts.timeline import draw_timeline

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
    "draw_timeline",
    "fixed_plan",
    "fleet",
    "local_blocks",
    "plan",
    "plan_config",
    "plan_study",
    "valid_cuts",
]
