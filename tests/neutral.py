"""Whether two checkouts give equal numbers: `python -m tests.neutral run CHECKOUT OUT`, then `compare OUT OUT`.

Runs the command line of a checkout on a few federations, in process and on Ray, with a resumed run among them, and
compares what they leave: every array of the last checkpoint to the last bit, and every number of the rounds but times.
Clusters are compared by who is in them: each is numbered here by its first client, whatever number it bears.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.checkpoint_files import checkpoint_states

TIMED = ("seconds", "train_seconds", "end_seconds", "phase_seconds", "body_seconds", "evaluation_seconds")
SMALL = (
    "data.domains=[{name: demo_mnist, clients: 3, limit: 960}, {name: demo_fashion_mnist, clients: 3, limit: 960}]",
    "training.rounds=3",
    "clusters.warmup_rounds=1",
    "evaluation.images=500",
)
MIXED = (
    "data.domains=[{name: demo_mnist, clients: 4, limit: 900}, {name: demo_fashion_mnist, clients: 3, limit: 700}]",
    "data.partition=non_iid",
    "training.participation=0.7",
    "training.rounds=4",
    "training.batch_size=16",
    "model.width=0.125",
    "clusters.warmup_rounds=1",
    "clusters.feature_batches=2",
    "wire.codec=bfloat16",
    "evaluation.images=200",
    "ray.clients_per_actor=2",
    "cuts.solver=fixed",
    "cuts.fixed={raspberry_pi_4: {generator: [0, 1], discriminator: [1, 0]}, jetson_nano: {generator: [1, 1]}}",
)
CASES = {
    "demo": (SMALL, True),
    "demo_ray": (SMALL, False),
    "mixed": (MIXED, True),
    "mixed_ray": (MIXED, False),
}


def run(checkout: Path, out: Path) -> None:
    """Trains every case with a checkout's code; the first one is also resumed after its second round."""
    out.mkdir(parents=True, exist_ok=True)
    for name, (settings, in_process) in CASES.items():
        overrides = [part for setting in settings for part in ("--set", setting)]
        _raygan(checkout, "train", *overrides, "--out", str(out / name), *(["--in-process"] if in_process else []))
    resumed = out / "resumed"
    shutil.copytree(out / "demo", resumed)
    (resumed / "summary.json").unlink()
    shutil.rmtree(resumed / "checkpoints" / "round-0003")
    _raygan(checkout, "train", "--resume", str(resumed), "--in-process")


def _raygan(checkout: Path, *arguments: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", "from raygan.cli import main; main()", *arguments]
    subprocess.run(command, cwd=checkout, env=environment, check=True, stdout=subprocess.DEVNULL)


def compare(one: Path, other: Path) -> list[str]:
    """What differs, a line each."""
    found: list[str] = []
    for case in (*CASES, "resumed"):
        arrays = [_arrays(folder / case) for folder in (one, other)]
        lines = [_lines(folder / case) for folder in (one, other)]
        found += [f"{case}: {name} is only in one" for name in arrays[0].keys() ^ arrays[1].keys()]
        common = arrays[0].keys() & arrays[1].keys()
        found += [f"{case}: {name} differs" for name in common if arrays[0][name] != arrays[1][name]]
        found += _different(lines[0], lines[1], case)
        print(f"{case}: {len(common)} arrays, {len(lines[0])} rounds compared")
    return found


def _arrays(path: Path) -> dict[str, bytes]:
    last = max((path / "checkpoints").glob("round-*"))
    numbers = _numbers(_rows(path, "clusters")[-1])
    return {
        f"{_renamed(who, numbers)}/{name}": array.tobytes()
        for full_name, array in checkpoint_states(last).items()
        for who, _, name in [full_name.partition("/")]
    }


def _rows(path: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (path / f"{name}.jsonl").read_text().splitlines()]


def _numbers(line: dict[str, Any]) -> dict[str, str]:
    """Cluster -> its number by its first client."""
    members = sorted((int(client), str(entry["cluster"])) for client, entry in line["clients"].items())
    return {name: str(n) for n, name in enumerate(dict.fromkeys(cluster for _, cluster in members))}


def _renamed(text: str, numbers: dict[str, str]) -> str:
    return re.sub(r"cluster-(\d+)", lambda found: f"cluster-{numbers[found[1]]}", text)


def _lines(path: Path) -> list[dict[str, Any]]:
    found = []
    for metrics, clusters in zip(_rows(path, "metrics"), _rows(path, "clusters"), strict=True):
        numbers = _numbers(clusters)
        for entry in clusters["clients"].values():
            entry["cluster"] = numbers[str(entry["cluster"])]
        renumbered = [metrics.get("cluster_sizes", {}), *(s["clusters"] for s in metrics["scores"].values())]
        for table in renumbered:
            items = {numbers[name]: value for name, value in table.items()}
            table.clear()
            table.update(items)
        metrics["samples"] = sorted(_renamed(name, numbers) for name in metrics["samples"])
        found += [metrics, clusters]
    return [{key: value for key, value in row.items() if key not in TIMED} for row in found]


def _different(one: Any, other: Any, where: str) -> list[str]:
    """Keys that only the newer one has are no difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        missing = [f"{where}.{key} is missing" for key in one.keys() - other.keys()]
        return missing + [
            d for key in one.keys() & other.keys() for d in _different(one[key], other[key], f"{where}.{key}")
        ]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return [d for n, pair in enumerate(zip(one, other, strict=True)) for d in _different(*pair, f"{where}[{n}]")]
    return [] if one == other else [f"{where}: {one!r}, {other!r}"]


if __name__ == "__main__":
    if sys.argv[1] == "run":
        run(Path(sys.argv[2]).absolute(), Path(sys.argv[3]).absolute())
    else:
        differences = compare(Path(sys.argv[2]), Path(sys.argv[3]))
        print("\n".join(differences) or "equal")
        sys.exit(bool(differences))
