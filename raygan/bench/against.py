"""`python -m raygan.bench.against`: the published code and Flower beside raygan on the same work, in one sitting.

Two comparisons: a step of HuSCF-GAN, by the published code where a checkout of it is given and by raygan; and rounds of
FedGAN, by Flower's simulation where Flower is installed and by raygan. Every side is a process of its own for each
repeat; in every repeat another one begins. Images a second are real images in timed steps, memory is what the process
and its children have for themselves, at its highest.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from raygan.bench.sides.work import Work
from raygan.bench.statistics import rotated, spread
from raygan.errors import InputError

OURS, FLOWER, PUBLISHED = (f"raygan.bench.sides.{name}" for name in ("ours", "flower", "published"))
SAMPLED_S = 0.5
"""Seconds between two looks at the memory."""


def sides(checkout: Path | None, flower: bool) -> dict[str, list[str]]:
    """What there is to measure -> module and arguments of its process.

    Raises:
        InputError: a checkout that is none, or Flower is not installed.
    """
    found = {}
    if checkout is not None:
        if not (checkout / "HuSCFGAN.py").is_file():
            remedy = "give a checkout of the published code"
            raise InputError("--published", f"{checkout} has no HuSCFGAN.py", remedy)
        found["a step: published code, one process"] = [PUBLISHED, str(checkout.absolute())]
        found["a step: raygan, one process"] = [OURS, "split", "in_process"]
        found["a step: raygan, Ray actors"] = [OURS, "split", "ray"]
    if flower:
        if importlib.util.find_spec("flwr") is None:
            raise InputError("--flower", "Flower is not installed", "pip install 'raygan[flower]'")
        found["FedGAN: Flower's simulation"] = [FLOWER]
        found["FedGAN: raygan, one process"] = [OURS, "fed_gan", "in_process"]
        found["FedGAN: raygan, Ray actors"] = [OURS, "fed_gan", "ray"]
    if not found:
        remedy = "give --published CHECKOUT, --flower, or both"
        raise InputError("raygan.bench.against", "nothing to compare with", remedy)
    return found


def measured(arguments: Sequence[str], work: Work) -> dict[str, float]:
    """One side, once: `images_per_s` and `memory_bytes`.

    Raises:
        InputError: it ended with an error.
    """
    command = [sys.executable, "-m", arguments[0], work.text, *arguments[1:]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        memory = MemoryOfTree(process.pid)
        out, err = process.communicate()
        most = memory.most()
    if process.returncode:
        raise InputError(" ".join(arguments), f"ended with status {process.returncode}: {err[-2000:]}", "look there")
    line = json.loads(out.splitlines()[-1])
    return {"images_per_s": line["images"] / line["seconds"], "memory_bytes": most}


class MemoryOfTree:
    """Watches a process and its children."""

    def __init__(self, pid: int) -> None:
        self._root, self._most, self._over = psutil.Process(pid), 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def most(self) -> float:
        """Bytes that they had for themselves, at the highest; the watch ends."""
        self._over.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._over.wait(SAMPLED_S):
            try:
                family = [self._root, *self._root.children(recursive=True)]
            except psutil.NoSuchProcess:
                return
            self._most = max(self._most, sum(map(own_bytes, family)))


def own_bytes(process: psutil.Process) -> int:
    """What would be free if it ended; 0 when it has."""
    try:
        return int(process.memory_full_info().uss)
    except psutil.Error:
        return 0


def compare(found: Mapping[str, Sequence[str]], work: Work, repeats: int) -> list[dict[str, Any]]:
    """A row a side."""
    results: dict[str, list[dict[str, float]]] = {name: [] for name in found}
    for repeat in range(repeats):
        for name in rotated(list(found), repeat):
            results[name].append(measured(found[name], work))
            speed = results[name][-1]["images_per_s"]
            print(f"repeat {repeat + 1} of {repeats}: {name} {speed:.0f} images/s", file=sys.stderr)
    return [
        {
            "": name,
            "images/s": spread([result["images_per_s"] for result in done]),
            "memory MB": max(result["memory_bytes"] for result in done) / 1e6,
        }
        for name, done in results.items()
    ]


def main(
    published: Annotated[Path | None, typer.Option(help="A checkout of the published code.")] = None,
    flower: Annotated[bool, typer.Option("--flower", help="Flower's simulation as well.")] = False,
    clients: Annotated[int, typer.Option(min=2)] = 8,
    batch: Annotated[int, typer.Option(min=1, help="Images of a client in a step.")] = 64,
    width: Annotated[float, typer.Option(help="Of the paper's channels; the published code has 1.")] = 1.0,
    steps: Annotated[int, typer.Option(min=1, help="Steps that are timed, or of a round of FedGAN.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of FedGAN that are timed.")] = 2,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
) -> None:
    """Measures and prints a table."""
    work = Work(clients, batch, width, steps, rounds)
    try:
        rows = compare(sides(published, flower), work, repeats)
    except InputError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    table = Table("", "images/s", "min - max", "memory MB", title=f"{clients} clients, batch {batch}, width {width:g}")
    for row in rows:
        speed = row["images/s"]
        ends = f"{speed['min']:.1f} - {speed['max']:.1f}"
        table.add_row(row[""], f"{speed['median']:.1f}", ends, f"{row['memory MB']:,.0f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
