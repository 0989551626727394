"""`raygan bench`: how near the split comes to the unsplit networks, and where the rest goes."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any

from rich.console import Console
from rich.table import Table

from raygan.bench.run import run_bench, run_scale
from raygan.bench.settings import BenchOptions
from raygan.bench.vmap import run_vmap
from raygan.config import Config
from raygan.errors import InputError
from raygan.simulation.allocator import keep_freed_memory

WIDTH = 110
NAMES = {"unsplit": "unsplit, one process", "in_process": "split, one process", "ray": "split, Ray actors"}


def show_bench(config: Config, options: BenchOptions, as_json: bool) -> None:
    """Measures and prints."""
    keep_freed_memory()  # as in the actors: otherwise the limit would be the slower for it
    with redirect_stdout(sys.stderr):  # where Ray's warnings go
        document = run_bench(config, options, _tell)
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
        return
    console = _console()
    console.print(throughput_table(document), actors_table(document), phases_table(document))
    for line in closing_lines(document):
        console.print(line, soft_wrap=True)


def show_scale(config: Config, options: BenchOptions, counts: str, as_json: bool) -> None:
    """Measures for several numbers of clients and prints.

    Raises:
        InputError: `counts` is no list of numbers.
    """
    wanted = parse_counts(counts)
    with redirect_stdout(sys.stderr):
        document = run_scale(config, options, wanted, _tell)
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
    else:
        _console().print(scale_table(document["scale"]))


def show_vmap(config: Config, options: BenchOptions, as_json: bool) -> None:
    """Measures what computing clients at once brings and prints."""
    keep_freed_memory()
    with redirect_stdout(sys.stderr):
        document = run_vmap(config, options, _tell)
    if as_json:
        print(json.dumps(document, indent=2, allow_nan=False))
        return
    console = _console()
    console.print(blocks_table(document))
    for what, name in (("step", "a step"), ("clients", "of it, the clients' work")):
        seconds, share = document[f"{what}_seconds"], document["of_one_by_one"][what]
        console.print(
            f"{name}: one by one {seconds['one_by_one']['median']:.3f} s, "
            f"at once where that is faster {seconds['at_once']['median']:.3f} s, "
            f"{share['median']:.3f} of it ({share['min']:.3f} - {share['max']:.3f})",
            soft_wrap=True,
        )


def parse_counts(text: str) -> list[int]:
    """`10,50,200`.

    Raises:
        InputError: it is no list of different positive numbers.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdigit() and int(part) for part in parts) or len(set(parts)) < len(parts):
        remedy = "give different numbers of clients, such as 10,50,200"
        raise InputError("--scale", f"{text!r} is no list of numbers of clients", remedy)
    return [int(part) for part in parts]


def throughput_table(document: Mapping[str, Any]) -> Table:
    """Images a second and their share of the limit."""
    s = document["settings"]
    title = f"{_sizes(s)}, {s['codec']}, {s['cores']} cores"
    table = Table("", title=title, title_justify="left")
    for name in ("images/s", "min - max", "of unsplit", "min - max", "step s", "CPU s"):
        table.add_column(name, justify="right")
    for name, entry in document["throughput"].items():
        speed, share = entry["images_per_s"], entry["of_unsplit"]
        table.add_row(
            NAMES[name],
            f"{speed['median']:.1f}",
            f"{speed['min']:.1f} - {speed['max']:.1f}",
            f"{share['median']:.3f}",
            f"{share['min']:.3f} - {share['max']:.3f}",
            f"{document['step_seconds'][name]['median']:.3f}",
            f"{document['step_cpu_seconds'][name]['median']:.3f}",
        )
    return table


def actors_table(document: Mapping[str, Any]) -> Table:
    """Where each actor's time of a step goes, its memory, and its link."""
    table = Table("actor", title="a step, by actor (seconds)", title_justify="left")
    for name in ("works", "waits", "sends", "idle", "CPU", "memory MB", "up MB", "down MB"):
        table.add_column(name, justify="right")
    for name, entry in document["actors"].items():
        link = document["links"].get(name)
        megabytes = [f"{link[key] / 1e6:.1f}" for key in ("up_bytes", "down_bytes")] if link else ["", ""]
        seconds = [f"{entry[key]:.3f}" for key in ("work", "wait", "send", "idle", "cpu")]
        table.add_row(name, *seconds, f"{entry['memory_bytes'] / 1e6:.0f}", *megabytes)
    return table


def phases_table(document: Mapping[str, Any]) -> Table:
    """Work of a step by phase, in one process and as actors."""
    table = Table("phase", title="a step, by phase (seconds of work)", title_justify="left")
    both = document["phases"]
    for name in both:
        table.add_column(NAMES[name], justify="right")
    for role in ("clients", "body"):
        for phase in both["ray"][role]:
            table.add_row(f"{role}: {phase}", *(f"{both[name][role].get(phase, 0):.3f}" for name in both))
    return table


def closing_lines(document: Mapping[str, Any]) -> list[str]:
    """Start-up and the round's end."""
    end = document["round_end"]
    parts = ", ".join(f"{name.replace('_', ' ')} {s:.1f}" for name, s in document["start_up"].items())
    ends = ", ".join(
        f"{name.replace('_', ' ')} {end[name]['median']:.2f}"
        for name in ("cluster_and_weigh", "aggregate", "checkpoint")
    )
    return [
        f"start-up, seconds: {parts}",
        f"round end, seconds: {ends}; {end['share_of_a_round']:.1%} of a round of "
        f"{end['steps_of_a_round']} steps",
    ]


def blocks_table(document: Mapping[str, Any]) -> Table:
    """Each block of several clients, one by one and at once."""
    s = document["settings"]
    title = f"{_sizes(s)}, {s['device']}, {s['client_threads']} threads"
    table = Table("block", title=title, title_justify="left")
    for name in ("clients measured", "one by one ms", "at once ms", "ratio", "at once"):
        table.add_column(name, justify="right")
    for row in document["blocks"]:
        alone, vmapped = row["one_by_one_s"], row["vmapped_s"]
        figures = ["cannot", ""] if vmapped is None else [f"{vmapped * 1e3:.2f}", f"{vmapped / alone:.2f}"]
        chosen = "yes" if row["at_once"] else "no"
        table.add_row(row["block"], str(row["clients"]), f"{alone * 1e3:.2f}", *figures, chosen)
    return table


def scale_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """One row for each number of clients."""
    table = Table("clients", title="numbers of clients", title_justify="left")
    for name in ("actors", "ms a client-step", "min - max", "of first", "MB in all", "MB an extra one"):
        table.add_column(name, justify="right")
    table.add_column("its state MB", justify="right")
    for row in rows:
        times, extra = row["client_step_seconds"], row["bytes_per_extra_client"]
        table.add_row(
            str(row["clients"]),
            str(row["actors"]),
            f"{times['median'] * 1e3:.2f}",
            f"{times['min'] * 1e3:.2f} - {times['max'] * 1e3:.2f}",
            f"{row['of_first']['median']:.3f}",
            f"{row['memory_bytes'] / 1e6:.0f}",
            "" if extra is None else f"{extra / 1e6:.2f}",
            f"{row['client_state_bytes'] / 1e6:.2f}",
        )
    return table


def _sizes(s: Mapping[str, Any]) -> str:
    return f"{s['clients']} clients in {s['client_actors']} actors, batch {s['batch_size']}, width {s['width']:g}"


def _console() -> Console:
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    return console


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
