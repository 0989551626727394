"""Choosing the cuts: a latency model, a genetic algorithm, and the proven optimum.

Works from numbers alone, without torch and without a network; read the code
in this order: `cost` (what the planner is told), `cut` (what it may choose), `latency` (the model), `problem`
(tables and classes of clients), `program` and `exact` (the optimum), `genetic`, `schedule` (who does what when),
`planner` (the front door), `timeline` (the picture).
"""

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import check_cut, valid_cuts
from raygan.cuts.planner import Baseline, Plan, Study, plan, plan_config, plan_study
from raygan.cuts.timeline import draw_timeline

__all__ = [
    "Baseline",
    "Device",
    "NetworkCost",
    "Plan",
    "Server",
    "Study",
    "check_cut",
    "draw_timeline",
    "plan",
    "plan_config",
    "plan_study",
    "valid_cuts",
]
