"""The JSON document of `raygan bench`, from what was measured."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raygan.algorithms.huscf import split_plan
from raygan.bench.contenders import Slice
from raygan.bench.statistics import ratios, spread
from raygan.nn.network import build_networks
from raygan.run.metrics import versions
from raygan.run.plan import Plan
from raygan.simulation.threads import server_threads, worker_threads
from raygan.wire.records import BodyReport, StepReport, Usage

LIMIT = "unsplit"


def bench_document(
    plan: Plan,
    steps_of_a_round: int,
    slices: Mapping[str, Sequence[Slice]],
    usage: Mapping[str, Usage],
    start_up: Mapping[str, float],
    round_ends: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """Everything about the three contenders.

    Args:
        slices: contender -> one slice a repeat.
        usage: actor -> what it uses in the end.
        start_up: part -> seconds, from the command to the first step's end.
        round_ends: part -> seconds, of several round ends.
    """
    step_s = {name: spread([s.step_s for s in done]) for name, done in slices.items()}
    cpu_s = {name: spread([s.cpu_s / s.num_steps for s in done]) for name, done in slices.items()}
    end = spread([sum(parts.values()) for parts in round_ends])
    return {
        "settings": settings_document(plan, slices),
        "throughput": _throughput(slices),
        "step_seconds": step_s,
        "step_cpu_seconds": cpu_s,
        "phases": {name: _phases(done) for name, done in slices.items() if name != LIMIT},
        "actors": _actors(slices["ray"], usage),
        "links": _links(plan, slices["ray"]),
        "start_up": {**_rounded(start_up), "total": round(sum(start_up.values()), 3)},
        "round_end": {
            **_spreads(round_ends),
            "total": end,
            "steps_of_a_round": steps_of_a_round,
            "share_of_a_round": end["median"] / (end["median"] + steps_of_a_round * step_s["ray"]["median"]),
        },
    }


def scale_document(
    plans: Mapping[str, Plan],
    slices: Mapping[str, Sequence[Slice]],
    usage: Mapping[str, Mapping[str, Usage]],
    ends: Mapping[str, Sequence[tuple[Mapping[str, float], int]]],
) -> dict[str, Any]:
    """One entry for each number of clients, in order; memory of an extra client against the first entry.

    Args:
        ends: of several round ends, seconds of each part, and how many files the checkpoint has. The first one takes
            memory that those behind it use again.
    """
    clients = {name: plan.config.num_clients for name, plan in plans.items()}
    memory = {name: sum(entry.memory_bytes for entry in used.values()) for name, used in usage.items()}
    times = {name: [s.step_s / clients[name] for s in done] for name, done in slices.items()}
    first = next(iter(plans))
    rows = []
    for name, plan in plans.items():
        extra = clients[name] - clients[first]
        rows.append(
            {
                "clients": clients[name],
                "actors": len(plan.layout.workers),
                "client_step_seconds": spread(times[name]),
                "of_first": spread(ratios(times[name], times[first])),
                "memory_bytes": memory[name],
                "bytes_per_extra_client": (memory[name] - memory[first]) / extra if extra else None,
                "client_state_bytes": _state_bytes(plan),
                "driver_cpu_seconds": spread([s.driver_cpu_s / s.num_steps for s in slices[name]]),
                "round_end": _spreads([parts for parts, _ in ends[name]]),
                "checkpoint_files": ends[name][0][1],
            }
        )
    return {"settings": settings_document(plans[first], slices), "scale": rows}


def _phases(slices: Sequence[Slice]) -> dict[str, dict[str, float]]:
    """Seconds of work of a step by phase: of all clients together, and of the body."""
    steps = sum(s.num_steps for s in slices)
    return {
        "clients": _by_phase((r for s in slices for r in s.workers), steps),
        "body": _by_phase((r for s in slices for r in s.body), steps),
    }


def _by_phase(reports: Iterable[StepReport | BodyReport], steps: int) -> dict[str, float]:
    total: defaultdict[str, float] = defaultdict(float)
    for report in reports:
        for phase, seconds in report.seconds.items():
            total[phase] += seconds / steps
    return _rounded(total)


def _actors(slices: Sequence[Slice], usage: Mapping[str, Usage]) -> dict[str, dict[str, float]]:
    """Where each actor's time of a step goes, and its memory.

    `wait` is for messages and includes reading them; `idle` is the rest, with nothing submitted.
    """
    steps = sum(s.num_steps for s in slices)
    wall = sum(s.seconds for s in slices) / steps
    table = {}
    for name, last in usage.items():
        pairs = [s.usage[name] for s in slices]
        parts = {
            part: sum(getattr(after, f"{part}_s") - getattr(before, f"{part}_s") for before, after in pairs) / steps
            for part in ("wait", "work", "send", "cpu")
        }
        idle = wall - parts["wait"] - parts["work"] - parts["send"]
        table[name] = {**_rounded({**parts, "idle": idle}), "memory_bytes": last.memory_bytes}
    return table


def _links(plan: Plan, slices: Sequence[Slice]) -> dict[str, dict[str, float]]:
    """Client actor -> bytes of activations and gradients that it sends and receives in a step."""
    steps = sum(s.num_steps for s in slices)
    table = {worker.name: {"up_bytes": 0.0, "down_bytes": 0.0} for worker in plan.layout.workers}
    for report in (r for s in slices for r in s.workers):
        link = table[plan.layout.workers[report.worker].name]
        link["up_bytes"] += report.bytes_sent / steps
        link["down_bytes"] += report.bytes_received / steps
    return table


def _state_bytes(plan: Plan) -> float:
    """Mean bytes of a client's parameters and, of those that are trained, of Adam's two moments."""
    layout = split_plan(plan.algorithm).layout
    whole = build_networks(layout.spec, plan.config.model.blocks, 0).blocks
    held = [key for client in layout.clients for key in layout.held_blocks(client)]
    parameters = (p for key in held if key in whole for p in whole[key].parameters())
    return sum(p.numel() * p.element_size() * (1 + 2 * p.requires_grad) for p in parameters) / len(layout.clients)


def _throughput(slices: Mapping[str, Sequence[Slice]]) -> dict[str, Any]:
    speeds = {name: [s.images_per_s for s in done] for name, done in slices.items()}
    return {
        name: {
            "images_per_s": spread(values),
            "of_unsplit": spread(ratios(values, speeds[LIMIT])),
            "repeats": [round(value, 2) for value in values],
        }
        for name, values in speeds.items()
    }


def settings_document(plan: Plan, slices: Mapping[str, Sequence[Slice]]) -> dict[str, Any]:
    """What was measured."""
    config = plan.config
    return {
        "clients": config.num_clients,
        "client_actors": len(plan.layout.workers),
        "batch_size": config.training.batch_size,
        "width": config.model.width,
        "codec": config.model_dump()["wire"]["codec"],
        "cuts": [[plan.generator_cut, plan.discriminator_cut] for plan in plan.layout.clients],
        "cores": os.cpu_count(),
        "client_threads": worker_threads(len(plan.layout.workers), config),
        "body_threads": server_threads(config),
        "steps_ahead": config.ray.steps_ahead,
        "steps_of_a_slice": {name: done[0].num_steps for name, done in slices.items()},
        "repeats": len(next(iter(slices.values()))),
        "versions": versions(),
    }


def _spreads(ends: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {name: spread([parts[name] for parts in ends]) for name in ends[0]}


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in seconds.items()}
