"""All clients of an actor in step: the losses and weights of one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from raygan.config.loading import make_config
from raygan.run.plan import Plan, make_plan
from raygan.simulation.executors import InStep
from raygan.split.client import Client
from raygan.wire.records import Activations, StepId
from tests.federations import Started, in_process

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def planned(settings: dict, mode: str, num_images: int = 96, networks: str = "paper") -> Plan:
    domains = [domain | {"limit": num_images} for domain in settings["data"]["domains"]]
    ray_settings = settings["ray"] | {"clients_per_actor": 3, "vmap_clients": mode}
    fixed = {name: cuts for name, cuts in settings["cuts"]["fixed"].items() if name != "small"}
    changed = {
        "data": {"domains": domains},
        "model": settings["model"] | {"networks": networks},
        "ray": ray_settings,
        "devices": settings["devices"] | {"fleet": ["large", "medium", "large"]},
        "cuts": {"solver": "fixed", "fixed": fixed},
    }
    return make_plan(make_config(settings | changed))


def states_of(started: Started) -> dict:
    return {
        (client, *key, name): array
        for client, state in started.states().items()
        for key, block in state.blocks.items()
        for name, array in block.items()
    }


@pytest.mark.parametrize(
    ("num_images", "num_steps", "minibatches", "networks"),
    [(96, 3, {8}, "paper"), (20, 1, {6, 7}, "paper"), (20, 1, {6, 7}, "plane_projection")],
    ids=["equal", "of several sizes", "with labels at both ends"],
)
def test_clients_at_once_are_clients_one_by_one(
    tiny_settings: dict, num_images: int, num_steps: int, minibatches: set, networks: str
) -> None:
    plans = {mode: planned(tiny_settings, mode, num_images, networks) for mode in ("never", "always")}
    federations = {mode: in_process(plan) for mode, plan in plans.items()}
    at_once = federations["always"]
    together = {
        worker.ids: len(getattr(at_once.party_of(worker.ids[0])._executor, "_vmapped", ()))
        for worker in at_once.layout.workers
    }
    assert together == {(0, 2, 3): 8, (1, 4): 6, (5,): 0}
    losses: dict[str, list] = {mode: [] for mode in federations}
    for mode, started in federations.items():
        started.begin_round(0)
        for number in range(num_steps):
            for report in started.reports(StepId(0, number)):
                losses[mode] += [*report.discriminator_loss.values(), *report.generator_loss.values()]
    sizes = {at_once.party_of(client)._clients[client].num_images for client in range(len(at_once.layout.clients))}
    assert sizes == minibatches
    assert len(losses["always"]) == num_steps * 6 * 2
    assert losses["always"] == pytest.approx(losses["never"], rel=1e-4)
    expected, found = (states_of(federations[mode]) for mode in ("never", "always"))
    for started in federations.values():
        started.close()
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, rtol=1e-3, atol=1e-5, err_msg=str(key))


@pytest.mark.parametrize("mode", ["never", "always"])
def test_a_client_with_a_bad_step_is_back_in_the_next(
    tiny_settings: dict, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tiny_settings, mode)
    started = in_process(plan)
    started.begin_round(0)
    client = started.party_of(0)._clients[0]
    honest = Client.discriminate

    def overflowing(self: Client, received: tuple) -> object:
        """As if a weight of the client's G tail had overflowed for one step."""
        return honest(self, tuple(x * float("inf") for x in received) if self is client else received)

    monkeypatch.setattr(Client, "discriminate", overflowing)
    first = {report.worker: report for report in started.reports(StepId(0, 0))}
    monkeypatch.undo()
    later = [report for number in (1, 2) for report in started.reports(StepId(0, number))]
    started.close()
    place = started.layout.worker_of[0]
    assert len(first[place].faults) == 1
    assert set(first[place].discriminator_loss) == {2, 3}, "the others go on"
    assert all(report.faults == () for report in later)
    trained = {key: x for key, x in states_of(started).items() if not key[-1].endswith(STATISTICS)}
    assert all(np.isfinite(array).all() for array in trained.values())


def test_a_client_that_the_body_leaves_out_sits_out(tiny_settings: dict) -> None:
    plan = planned(tiny_settings, "always")
    started = in_process(plan)
    place = started.layout.worker_of[0]
    worker = started.party_of(0)
    started.begin_round(0)
    honest = worker.discriminate

    def without_client_0(step: StepId, message: Activations) -> Activations:
        return honest(step, Activations(step, {c: x for c, x in message.arrays.items() if c != 0}))

    worker.discriminate = without_client_0
    before = worker._clients[0].state()
    reports = {report.worker: report for report in started.reports(StepId(0, 0))}
    started.close()
    assert set(reports[place].discriminator_loss) == {2, 3}
    assert all(np.isfinite(loss) for loss in reports[place].generator_loss.values())
    for key, block in worker._clients[0].state().blocks.items():
        for name, array in block.items():
            if not name.endswith(STATISTICS):
                np.testing.assert_array_equal(array, before.blocks[key][name])


def test_some_blocks_at_once_and_others_client_by_client(tiny_settings: dict) -> None:
    losses = {}
    for mode, blocks in (("never", ()), ("always", [("generator", 0), ("discriminator", 1)])):
        plan = planned(tiny_settings, "never")
        started = in_process(plan)
        for of_worker in started.layout.workers:
            worker = started.party_of(of_worker.ids[0])
            held = [key for key in blocks if key in started.layout.held_blocks(worker.plan.clients[0])]
            if held:
                worker._executor = InStep({n: c.blocks for n, c in worker._clients.items()}, held)
        started.begin_round(0)
        reports = started.reports(StepId(0, 0))
        losses[mode] = [x for report in reports for x in report.generator_loss.values()]
        started.close()
    assert len(losses["always"]) == 6
    assert losses["always"] == pytest.approx(losses["never"], rel=1e-4)
