"""The predicted iteration as a picture, from the cuts that the run was made with."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from raygan.cuts import Server, draw_timeline, fixed_plan, fleet
from raygan.errors import InputError
from raygan.nn.network import build_networks
from raygan.report.html import Html, picture
from raygan.report.record import Record
from raygan.run.stored import Run
from raygan.split.planning import measure


def timeline(record: Record) -> Html | None:
    """The picture; None where the run's data, networks or cuts are no longer at hand."""
    if not record.cuts:
        return None
    try:
        return picture(_drawn(record), "one iteration, device by device", class_="wide")
    except InputError:
        return None


def _drawn(record: Record) -> bytes:
    config = record.config
    assert record.cuts is not None
    spec = Run.load(record.path).spec
    costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
    cuts = [(tuple(client["generator"]), tuple(client["discriminator"])) for client in record.cuts["clients"]]
    plan = fixed_plan(
        cuts,
        generator=costs.generator,
        discriminator=costs.discriminator,
        devices=fleet(config),
        server=Server(config.devices.server.flops_per_s, config.devices.server.bytes_per_s),
        anchor=costs.anchor,
    )
    made = {name: record.cuts[name] for name in ("solver", "optimal", "lower_bound_s")}
    with tempfile.TemporaryDirectory() as folder:
        return draw_timeline(replace(plan, **made), Path(folder) / "timeline.png").read_bytes()
