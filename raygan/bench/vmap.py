"""What computing an actor's clients at once brings (`ray.vmap_clients`), block by block and for whole steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from raygan.algorithms.huscf import split_plan
from raygan.bench.document import settings_document
from raygan.bench.run import bench_plan, in_process, measure, warm_up
from raygan.bench.settings import BenchOptions
from raygan.bench.statistics import ratios, spread
from raygan.config.schema import Config
from raygan.errors import InputError
from raygan.nn.network import build_networks
from raygan.run.plan import Plan
from raygan.simulation.device import pick_device
from raygan.simulation.threads import worker_threads
from raygan.split.vmap_choice import block_times, num_measured, worth_it

ALONE, AT_ONCE = "one_by_one", "at_once"


def run_vmap(config: Config, options: BenchOptions, tell: Callable[[str], None]) -> dict[str, Any]:
    """Measures, without Ray, steps in which the clients of an actor are computed one by one and at once where that
    is faster, in alternation.

    Returns:
        The document of `raygan bench --vmap --json`.

    Raises:
        InputError: options or data that cannot be used.
    """
    plan = bench_plan(config, options)
    if all(len(worker.clients) == 1 for worker in plan.layout.workers):
        remedy = "give --clients-per-actor, or more --clients"
        raise InputError("--vmap", "no actor has several clients", remedy)
    contenders = {
        ALONE: in_process(plan, vmap_clients="never"),
        AT_ONCE: in_process(plan, vmap_clients="measure"),
    }
    tell("both are built")
    num_steps = warm_up(contenders, options.seconds)
    slices = measure(contenders, dict.fromkeys(contenders, num_steps), options.repeats, tell)
    device = pick_device(plan.config, "this process")
    step_s = {name: [s.step_s for s in done] for name, done in slices.items()}
    clients_s = {
        name: [sum(sum(report.seconds.values()) for report in s.workers) / s.num_steps for s in done]
        for name, done in slices.items()
    }
    shown = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return {
        "settings": settings_document(plan, slices) | {"device": shown},
        "step_seconds": {name: spread(seconds) for name, seconds in step_s.items()},
        "clients_seconds": {name: spread(seconds) for name, seconds in clients_s.items()},
        "of_one_by_one": {
            "step": spread(ratios(step_s[AT_ONCE], step_s[ALONE])),
            "clients": spread(ratios(clients_s[AT_ONCE], clients_s[ALONE])),
        },
        "blocks": _blocks(plan, device),
    }


def _blocks(plan: Plan, device: torch.device) -> list[dict[str, Any]]:
    """The measurements as they are kept on this machine, one for each block and number of clients."""
    config, layout = plan.config, split_plan(plan.algorithm).layout
    networks = build_networks(layout.spec, config.model.blocks, 0)
    torch.set_num_threads(worker_threads(len(layout.workers), config))
    rows = {
        (key, num_measured(worker)): {**asdict(taken), "at_once": worth_it(taken)}
        for worker in layout.workers
        if len(worker.clients) > 1
        for key, taken in block_times(worker, layout, networks, config, device).items()
    }
    return [
        {"block": f"{network} {index}", "clients": clients, **row} for ((network, index), clients), row in rows.items()
    ]
