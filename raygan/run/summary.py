"""`summary.json`: what came of a run that has ended."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from raygan.parties.layout import Layout
from raygan.run.folder import RunFolder
from raygan.storage import read_json_lines


def summary(folder: RunFolder, layout: Layout[Any], first: int, seconds: float) -> Mapping[str, Any]:
    """`summary.json`.

    Args:
        first: the round with which this process began.
        seconds: since then.
    """
    rounds = read_json_lines(folder.metrics_file)
    seconds += sum(line["seconds"] for line in rounds[:first])
    last = rounds[-1]
    measured = {name: last[name] for name in ("cluster_agreement", "clusters") if name in last}
    return {
        "rounds": last["round"],
        "scores": last["scores"],
        **measured,
        "seconds": round(seconds, 1),
        "bytes_moved": sum(line["bytes_up"] + line["bytes_down"] for line in rounds),
        "devices": {plan.client: plan.profile for plan in layout.clients},
        "versions": versions(),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in ("raygan", "torch", "ray", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
