"""`raygan dashboard`: what watches a run from outside."""

from __future__ import annotations

import json

from raygan.errors import InputError
from raygan.telemetry.grafana import dashboard


def print_dashboard(grafana: bool) -> None:
    """`--grafana`: a Grafana dashboard as one JSON document on standard output.

    Raises:
        InputError: nothing was asked for.
    """
    if not grafana:
        raise InputError(
            "raygan dashboard", "nothing to write", "give --grafana, and `> raygan.json` behind it"
        )
    print(json.dumps(dashboard(), indent=1))
