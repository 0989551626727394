"""What the actors counted is what the cuts predict, by link, kind and client."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.names import Codec
from raygan.run.metrics import links
from raygan.run.plan import Plan, make_plan
from raygan.wire.records import Count, Link, Traffic, wire_bytes

NUM_STEPS, BATCH = 4, 8
PER_STEP = {"Activations": 4, "Gradients": 4}
"""Tensors of one client in a step, each way: G once, D for fakes, reals and the fakes again."""


def tensor_bytes(plan: Plan, client: int, codec: Codec) -> dict[tuple[str, str], float]:
    """(direction, kind) -> bytes of one client in a step, from the shapes at its cuts."""
    plans = plan.layout.clients[client]
    total: dict[tuple[str, str], float] = {}
    for network, passes in (("generator", 1), ("discriminator", 3)):
        head, tail = plans.cut(network)
        shapes = plan.layout.output_shapes[network]
        for kind, way, block in (
            ("Activations", "up", head),
            ("Activations", "down", len(shapes) - 2 - tail),
            ("Gradients", "up", len(shapes) - 2 - tail),
            ("Gradients", "down", head),
        ):
            elements = BATCH
            for size in shapes[block]:
                elements *= size
            total[way, kind] = total.get((way, kind), 0) + passes * wire_bytes(elements, codec)
    return total


@pytest.mark.parametrize(("codec", "bodies"), [("float32", "shared"), ("int8", "clusters")])
def test_activations_and_gradients_are_those_of_the_cuts(
    tiny_settings: dict, tmp_path: Path, codec: Codec, bodies: str
) -> None:
    few = {
        "training": {"rounds": 1, "batch_size": BATCH, "average": None},
        "wire": {"codec": codec},
        "cuts": tiny_settings["cuts"] | {"bodies": bodies},
        "evaluation": {"images": 8},
    }
    run = train(make_config(tiny_settings | few), tmp_path / "run", in_process=True)
    plan = make_plan(run.config)
    line = json.loads((run.path / "metrics.jsonl").read_text())
    predicted = [tensor_bytes(plan, client, codec) for client in range(6)]
    for client, bytes_ in enumerate(predicted):
        up = NUM_STEPS * sum(size for (way, _), size in bytes_.items() if way == "up")
        down = NUM_STEPS * sum(size for (way, _), size in bytes_.items() if way == "down")
        assert line["client_bytes"][str(client)] == {"up": up, "down": down}
    for name, way in (("client -> body", "up"), ("body -> client", "down")):
        for kind in ("Activations", "Gradients"):
            counted = line["links"][name][kind]
            assert counted["bytes"] == NUM_STEPS * sum(bytes_[way, kind] for bytes_ in predicted)
            assert counted["records"] == NUM_STEPS * 6 * 3
    _averaging(line["links"], plan)
    assert set(line["links"]) == {
        "client -> body", "body -> client", "client -> aggregator", "body -> aggregator",
        "aggregator -> client", "aggregator -> body", "aggregator -> evaluator",
    }  # fmt: skip


def _averaging(found: dict, plan: Plan) -> None:
    """Warm-up: one cluster. Every state goes to its aggregator and, where one body is shared, to that of its average."""
    times = 2 if plan.config.cuts.bodies == "shared" else 1

    def size(keys) -> int:
        return sum(_block_bytes(plan, key) for key in keys)

    held = [plan.layout.held_blocks(client) for client in plan.layout.clients]
    sent = sum(map(size, held))
    assert found["client -> aggregator"] == {"State": {"records": 6 * times, "bytes": times * sent}}
    of_body = times * size(plan.layout.body_held)
    assert found["body -> aggregator"] == {"State": {"records": times, "bytes": of_body}}
    blocks = sum(map(len, held))
    assert found["aggregator -> client"] == {"BlockAverage": {"records": blocks, "bytes": sent}}
    body = {"records": len(plan.layout.body_held), "bytes": size(plan.layout.body_held)}
    assert found["aggregator -> body"] == {"BlockAverage": body}
    generator = [key for key in plan.layout.all_blocks if key[0] == "generator"]
    assert found["aggregator -> evaluator"]["BlockAverage"] == {"records": 5, "bytes": size(generator)}


def _block_bytes(plan: Plan, key) -> int:
    total = 0
    for name, shape in plan.layout.state_shapes[key].items():
        entries = 1
        for size in shape:
            entries *= size
        total += entries * (8 if name.endswith("num_batches_tracked") else 4)
    return total


def test_tallies_add_up() -> None:
    up, down = Link("client", "body", "Gradients", 3), Link("body", "client", "Gradients", 3)
    states = Link("client", "aggregator", "State")
    traffic = [
        Traffic((Count(up, 1, 10), Count(states, 2, 7))),
        Traffic((Count(up, 2, 5), Count(down, 1, 1))),
    ]
    assert links(traffic) == {
        "links": {
            "body -> client": {"Gradients": {"records": 1, "bytes": 1}},
            "client -> aggregator": {"State": {"records": 2, "bytes": 7}},
            "client -> body": {"Gradients": {"records": 3, "bytes": 15}},
        },
        "client_bytes": {"3": {"up": 15, "down": 1}},
    }
