"""`raygan cuts --replicas`: how many replicas of the body pay."""

from __future__ import annotations

import json

from raygan.cli.tables import make_console, rows_table
from raygan.config import Config
from raygan.cuts.replicas import WORTH, most_that_pay
from raygan.data import with_common_classes
from raygan.data.admission import blaming_sites, least_heads
from raygan.errors import InputError
from raygan.run.plan import surveyor
from raygan.split.planning import replicas_config


def show_replicas(config: Config, counts: str, as_json: bool) -> None:
    """Plans for each number of replicas, and prints what it brings.

    Args:
        counts: such as `1,2,4`.

    Raises:
        InputError: no such list, more replicas than clients, or a configuration without valid cuts.
    """
    numbers = parse_replicas(counts)
    with surveyor(config) as (placed, survey):
        surveys = with_common_classes(survey(placed))
        infos, bounds = [domain.info for domain in surveys], [domain.bound for domain in surveys]
        with blaming_sites(bounds):
            rows = replicas_config(placed, infos, numbers, least_heads(placed, bounds))
    enough = most_that_pay(rows)
    if as_json:
        print(json.dumps({"replicas": [vars(row) for row in rows], "most_that_pay": enough}, indent=2))
        return
    table = [
        {
            "replicas": str(row.replicas),
            "iteration s": f"{row.latency_s:.4g}",
            "of one": f"{row.latency_s / rows[0].latency_s:.3f}",
            "body busy s": f"{row.server_busy_s:.4g}",
            "exchanging s": f"{row.exchange_s:.3g}",
        }
        for row in rows
    ]
    console = make_console()
    console.print(rows_table(f"replicas of the body, {config.num_clients} clients", table))
    why = f": with the next number an iteration is less than {1 - WORTH:.0%} faster"
    line = f"more than {enough} do not pay{why}" if enough < max(numbers) else f"{enough} still pay"
    console.print(line, soft_wrap=True)


def parse_replicas(text: str, option: str = "--replicas") -> list[int]:
    """`1,2,4`, of replicas or of what else the option counts. Raises InputError: it is no ascending list of numbers that
    begins with 1."""
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) for part in parts if part.isdecimal()]
    if len(numbers) < len(parts) or numbers != sorted({*numbers, 1}) or 0 in numbers:
        found = f"{text!r} is no list of numbers of {option.removeprefix('--')}"
        raise InputError(option, found, "begin with 1, such as 1,2,4")
    return numbers
