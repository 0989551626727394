"""`raygan bench`: how near the split comes to the unsplit networks, and where the rest goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from functools import partial
from typing import Any

from rich.console import Console

from raygan.bench.bodies import Several, run_bodies
from raygan.bench.run import run_bench, run_scale
from raygan.bench.settings import BenchOptions
from raygan.bench.vmap import run_vmap
from raygan.cli.replicas import parse_replicas
from raygan.cli.tables import FittingTable, make_console, rows_table
from raygan.config import Config
from raygan.errors import InputError
from raygan.simulation.allocator import keep_freed_memory

NAMES = {"unsplit": "unsplit, one process", "in_process": "split, one process", "ray": "split, Ray actors"}


def show_bench(
    config: Config,
    options: BenchOptions,
    scale: str | None,
    replicas: str | None,
    sections: str | None,
    vmap: bool,
    as_json: bool,
) -> None:
    """Measures and prints.

    Args:
        scale: instead of the three contenders, the actors alone for these numbers of clients: `10,50,200`.
        replicas: instead, the actors alone for these numbers of replicas of the body: `1,2,4`.
        sections: instead, the actors alone for these numbers of sections of the body: `1,2,3`.
        vmap: instead, clients one by one and at once.

    Raises:
        InputError: several of them, or what cannot be used.
    """
    instead = {"--scale": scale, "--replicas": replicas, "--sections": sections, "--vmap": vmap or None}
    given = [name for name, value in instead.items() if value is not None]
    if len(given) > 1:
        raise InputError(given[-1], f"given with {given[0]}", "give one of them")
    keep_freed_memory()  # as in the actors: otherwise the limit would be the slower for it
    show: Callable[[Mapping[str, Any], Console], None]
    with redirect_stdout(sys.stderr):  # where Ray's warnings go
        if scale is not None:
            document, show = run_scale(config, options, parse_counts(scale), _tell), _show_scale
        elif replicas is not None:
            document, show = _run_bodies(config, options, "replicas", replicas)
        elif sections is not None:
            document, show = _run_bodies(config, options, "sections", sections)
        elif vmap:
            document, show = run_vmap(config, options, _tell), _show_vmap
        else:
            document, show = run_bench(config, options, _tell), _show_contenders
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        show(document, make_console())


def _run_bodies(
    config: Config, options: BenchOptions, several: Several, counts: str
) -> tuple[dict[str, Any], Callable[[Mapping[str, Any], Console], None]]:
    numbers = parse_replicas(counts, f"--{several}")
    return run_bodies(config, options, several, numbers, _tell), partial(_show_bodies, several=several)


def parse_counts(text: str) -> list[int]:
    """`10,50,200`. Raises InputError: it is no list of different positive numbers."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and int(part) for part in parts) or len(set(parts)) < len(parts):
        remedy = "give different numbers of clients, such as 10,50,200"
        raise InputError("--scale", f"{text!r} is no list of numbers of clients", remedy)
    return [int(part) for part in parts]


def _show_contenders(document: Mapping[str, Any], console: Console) -> None:
    console.print(_throughput_table(document), _actors_table(document), _phases_table(document))
    end = document["round_end"]
    parts = ", ".join(f"{_words(name)} {seconds:.1f}" for name, seconds in document["start_up"].items())
    ends = ", ".join(
        f"{_words(name)} {end[name]['median']:.2f}" for name in ("cluster_and_weigh", "aggregate", "checkpoint")
    )
    of_round = f"{end['share_of_a_round']:.1%} of a round of {end['steps_of_a_round']} steps"
    console.print(f"start-up, seconds: {parts}", soft_wrap=True)
    console.print(f"round end, seconds: {ends}; {of_round}", soft_wrap=True)


def _throughput_table(document: Mapping[str, Any]) -> FittingTable:
    """Images a second and their share of the limit."""
    s = document["settings"]
    rows = [
        {
            "": NAMES[name],
            "images/s": _spread(entry["images_per_s"], ".1f"),
            "of unsplit": _spread(entry["of_unsplit"], ".3f"),
            "step s": f"{document['step_seconds'][name]['median']:.3f}",
            "CPU s": f"{document['step_cpu_seconds'][name]['median']:.3f}",
        }
        for name, entry in document["throughput"].items()
    ]
    return rows_table(f"{_sizes(s)}, {s['codec']}, {s['cores']} cores", rows)


def _actors_table(document: Mapping[str, Any]) -> FittingTable:
    """Where each actor's time of a step goes, its memory, and its link."""
    seconds = {"works": "work", "waits": "wait", "sends": "send", "idle": "idle", "CPU": "cpu"}
    moved = {"up MB": "up_bytes", "down MB": "down_bytes"}
    rows = [
        {
            "actor": name,
            **{column: f"{entry[key]:.3f}" for column, key in seconds.items()},
            "memory MB": _megabytes(entry["memory_bytes"], ".0f"),
            **{c: _megabytes(document["links"].get(name, {}).get(key), ".1f") for c, key in moved.items()},
        }
        for name, entry in document["actors"].items()
    ]
    return rows_table("a step, by actor (seconds)", rows)


def _phases_table(document: Mapping[str, Any]) -> FittingTable:
    """Work of a step by phase, in one process and as actors."""
    both = document["phases"]
    rows = [
        {
            "phase": f"{role}: {phase}",
            **{NAMES[name]: f"{both[name][role].get(phase, 0):.3f}" for name in both},
        }
        for role, phases in both["ray"].items()
        for phase in phases
    ]
    return rows_table("a step, by phase (seconds of work)", rows)


def _show_vmap(document: Mapping[str, Any], console: Console) -> None:
    s = document["settings"]
    rows = [
        {
            "block": block["block"],
            "clients measured": str(block["clients"]),
            "one by one ms": f"{alone * 1e3:.2f}",
            "at once ms": "cannot" if at_once is None else f"{at_once * 1e3:.2f}",
            "ratio": "" if at_once is None else f"{at_once / alone:.2f}",
            "at once": "yes" if block["at_once"] else "no",
        }
        for block in document["blocks"]
        for alone, at_once in [(block["one_by_one_s"], block["vmapped_s"])]
    ]
    console.print(rows_table(f"{_sizes(s)}, {s['device']}, {s['client_threads']} threads", rows))
    for what, name in (("step", "a step"), ("clients", "of it, the clients' work")):
        seconds, share = document[f"{what}_seconds"], document["of_one_by_one"][what]
        console.print(
            f"{name}: one by one {seconds['one_by_one']['median']:.3f} s, at once where that is faster "
            f"{seconds['at_once']['median']:.3f} s, {_spread(share, '.3f')} of it",
            soft_wrap=True,
        )


def _show_scale(document: Mapping[str, Any], console: Console) -> None:
    """One row for each number of clients."""
    rows = [
        {
            "clients": str(row["clients"]),
            "actors": str(row["actors"]),
            "ms a client-step": _spread(row["client_step_seconds"], ".2f", 1e3),
            "of first": f"{row['of_first']['median']:.3f}",
            "MB in all": _megabytes(row["memory_bytes"], ".0f"),
            "MB an extra one": _megabytes(row["bytes_per_extra_client"], ".2f"),
            "its state MB": _megabytes(row["client_state_bytes"], ".2f"),
        }
        for row in document["scale"]
    ]
    console.print(rows_table("numbers of clients", rows))
    ends = [
        {
            "clients": str(row["clients"]),
            **{f"{_words(name)} s": _spread(seconds, ".2f") for name, seconds in row["round_end"].items()},
            "its files": str(row["checkpoint_files"]),
            "driver's CPU ms a step": _spread(row["driver_cpu_seconds"], ".1f", 1e3),
        }
        for row in document["scale"]
    ]
    console.print(rows_table("a round's end, and the driver", ends))


def _show_bodies(document: Mapping[str, Any], console: Console, several: Several) -> None:
    """One row for each number of replicas or of sections."""
    rows = [
        {
            several: str(row[several]),
            "images/s": _spread(row["images_per_s"], ".1f"),
            "of first": _spread(row["of_first"], ".3f"),
            "step s": f"{row['step_seconds']['median']:.3f}",
            "CPU s": f"{row['step_cpu_seconds']['median']:.3f}",
            **_between(row),
            "bodies MB": _megabytes(row["body_memory_bytes"], ".0f"),
        }
        for row in document[several]
    ]
    s = document["settings"]
    console.print(rows_table(f"{several} of the body: {_sizes(s)}, {s['cores']} cores", rows))


def _between(row: Mapping[str, Any]) -> dict[str, str]:
    """What goes between the body's actors in a step."""
    if "carried_bytes" in row:
        return {"carried MB": _megabytes(row["carried_bytes"], ".2f")}
    return {
        "exchanging s": f"{row['exchange_seconds']['median']:.3f}",
        "exchanged MB": _megabytes(row["exchanged_bytes"]["median"], ".2f"),
    }


def _spread(values: Mapping[str, float], form: str, unit: float = 1.0) -> str:
    median, *ends = (format(unit * values[name], form) for name in ("median", "min", "max"))
    return f"{median} ({' - '.join(ends)})"


def _megabytes(num_bytes: float | None, form: str) -> str:
    return "" if num_bytes is None else format(num_bytes / 1e6, form)


def _sizes(s: Mapping[str, Any]) -> str:
    return f"{s['clients']} clients in {s['client_actors']} actors, batch {s['batch_size']}, width {s['width']:g}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
