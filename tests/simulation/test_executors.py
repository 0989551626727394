"""All clients of an actor in step: the losses and weights of one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from raygan.algorithms.huscf import begin_round
from raygan.config.loading import make_config
from raygan.parties.evaluator import EvaluatorPlan
from raygan.run.plan import Plan, make_plan
from raygan.runtime.in_process import LocalGroup
from raygan.simulation.executors import InStep
from raygan.split.client import Client
from raygan.split.submit import train_step
from raygan.wire.records import Activations, StepId

ROUNDING_ALONE = ("bias", "running_mean")
"""The gradient of a bias before BatchNorm is rounding, of which Adam makes whole steps; the mean follows the bias."""

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def planned(settings: dict, mode: str, num_images: int = 96) -> Plan:
    domains = [domain | {"limit": num_images} for domain in settings["data"]["domains"]]
    ray_settings = settings["ray"] | {"clients_per_actor": 3, "vmap_clients": mode}
    fixed = {name: cuts for name, cuts in settings["cuts"]["fixed"].items() if name != "small"}
    changed = {
        "data": {"domains": domains},
        "ray": ray_settings,
        "devices": settings["devices"] | {"fleet": ["large", "medium", "large"]},
        "cuts": {"solver": "fixed", "fixed": fixed},
    }
    return make_plan(make_config(settings | changed))


def group_of(plan: Plan, samples: str) -> LocalGroup:
    evaluator = EvaluatorPlan(plan.config.data, plan.shape, plan.layout.spec, None, 0, 40, samples, None)
    return LocalGroup(plan.layout, plan.config, evaluator)


def states_of(group: LocalGroup, plan: Plan) -> dict:
    found = {}
    for worker in plan.layout.workers:
        for client, state in zip(
            worker.ids, group.workers[worker.worker].call_many("state", len(worker.ids)), strict=True
        ):
            for key, block in state.blocks.items():
                found |= {(client, *key, name): array for name, array in block.items()}
    return found


@pytest.mark.parametrize(
    ("num_images", "num_steps", "minibatches"),
    [(96, 3, {8}), (20, 1, {6, 7})],
    ids=["equal", "of several sizes"],
)
def test_clients_at_once_are_clients_one_by_one(
    tiny_settings: dict, samples: str, num_images: int, num_steps: int, minibatches: set
) -> None:
    plans = {mode: planned(tiny_settings, mode, num_images) for mode in ("never", "always")}
    groups = {mode: group_of(plan, samples) for mode, plan in plans.items()}
    together = {
        worker.ids: len(groups["always"].workers[worker.worker]._target.vmapped)
        for worker in plans["always"].layout.workers
    }
    assert together == {(0, 2, 3): 8, (1, 4): 6, (5,): 0}
    losses: dict[str, list] = {mode: [] for mode in groups}
    for mode, group in groups.items():
        begin_round(group, 0)
        for number in range(num_steps):
            for report in train_step(group, plans[mode].layout, StepId(0, number)).workers.values():
                losses[mode] += [*report.discriminator_loss.values(), *report.generator_loss.values()]
    sizes = {
        c.num_images for handle in groups["always"].workers.values() for c in handle._target._clients.values()
    }
    assert sizes == minibatches
    assert len(losses["always"]) == num_steps * 6 * 2
    assert losses["always"] == pytest.approx(losses["never"], rel=1e-4)
    expected, found = (states_of(groups[mode], plans[mode]) for mode in ("never", "always"))
    for group in groups.values():
        group.close()
    for key, array in expected.items():
        if not key[-1].endswith(ROUNDING_ALONE):
            np.testing.assert_allclose(found[key], array, rtol=1e-3, atol=1e-5, err_msg=str(key))


@pytest.mark.parametrize("mode", ["never", "always"])
def test_a_client_with_a_bad_step_is_back_in_the_next(
    tiny_settings: dict, samples: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(tiny_settings, mode)
    group = group_of(plan, samples)
    begin_round(group, 0)
    client = group.workers[plan.layout.worker_of[0]]._target._clients[0]
    honest = Client.discriminate

    def overflowing(self: Client, received: tuple) -> object:
        """As if a weight of the client's G tail had overflowed for one step."""
        return honest(self, tuple(x * float("inf") for x in received) if self is client else received)

    monkeypatch.setattr(Client, "discriminate", overflowing)
    first = train_step(group, plan.layout, StepId(0, 0)).workers
    monkeypatch.undo()
    later = [train_step(group, plan.layout, StepId(0, number)).workers for number in (1, 2)]
    group.close()
    place = plan.layout.worker_of[0]
    assert len(first[place].faults) == 1
    assert set(first[place].discriminator_loss) == {2, 3}, "the others go on"
    assert all(report.faults == () for step in later for report in step.values())
    trained = {key: x for key, x in states_of(group, plan).items() if not key[-1].endswith(STATISTICS)}
    assert all(np.isfinite(array).all() for array in trained.values())


def test_a_client_that_the_body_leaves_out_sits_out(tiny_settings: dict, samples: str) -> None:
    plan = planned(tiny_settings, "always")
    group = group_of(plan, samples)
    place = plan.layout.worker_of[0]
    worker = group.workers[place]._target
    begin_round(group, 0)
    honest = worker.discriminate

    def without_client_0(step: StepId, message: Activations) -> Activations:
        return honest(step, Activations(step, {c: x for c, x in message.arrays.items() if c != 0}))

    worker.discriminate = without_client_0
    before = worker._clients[0].state()
    reports = train_step(group, plan.layout, StepId(0, 0)).workers
    group.close()
    assert set(reports[place].discriminator_loss) == {2, 3}
    assert all(np.isfinite(loss) for loss in reports[place].generator_loss.values())
    for key, block in worker._clients[0].state().blocks.items():
        for name, array in block.items():
            if not name.endswith(STATISTICS):
                np.testing.assert_array_equal(array, before.blocks[key][name])


def test_some_blocks_at_once_and_others_client_by_client(tiny_settings: dict, samples: str) -> None:
    losses = {}
    for mode, blocks in (("never", ()), ("always", [("generator", 0), ("discriminator", 1)])):
        plan = planned(tiny_settings, "never")
        group = group_of(plan, samples)
        for handle in group.workers.values():
            worker = handle._target
            held = [key for key in blocks if key in plan.layout.held_blocks(worker.plan.clients[0])]
            ends = {
                n: {x: c.ends(x) for x in ("generator", "discriminator")} for n, c in worker._clients.items()
            }
            if held:
                worker._take = InStep(ends, held)
        begin_round(group, 0)
        step = train_step(group, plan.layout, StepId(0, 0)).workers
        losses[mode] = [x for report in step.values() for x in report.generator_loss.values()]
        group.close()
    assert len(losses["always"]) == 6
    assert losses["always"] == pytest.approx(losses["never"], rel=1e-4)
