"""All clients of an actor in step: the losses and weights of one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raygan.actors.evaluator import EvaluatorPlan
from raygan.actors.local import LocalGroup
from raygan.config.loading import make_config
from raygan.messages import Activations, StepId
from raygan.training.plan import Plan, make_plan
from raygan.training.round import begin_round
from raygan.training.step import train_step

ROUNDING_ALONE = ("bias", "running_mean")
"""The gradient of a bias before BatchNorm is rounding, of which Adam makes whole steps; the mean follows the bias."""


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
    for host in plan.layout.hosts:
        for client, state in zip(
            host.ids, group.hosts[host.host].call_many("state", len(host.ids)), strict=True
        ):
            for key, block in state.blocks.items():
                found |= {(client, *key, name): array for name, array in block.items()}
    return found


@pytest.mark.parametrize(
    ("num_images", "num_steps"),
    [(96, 3), (20, 1)],
    ids=["equal minibatches", "minibatches of 7, 6 and 7 images"],
)
def test_clients_at_once_are_clients_one_by_one(
    tiny_settings: dict, samples: str, num_images: int, num_steps: int
) -> None:
    plans = {mode: planned(tiny_settings, mode, num_images) for mode in ("never", "always")}
    groups = {mode: group_of(plan, samples) for mode, plan in plans.items()}
    together = {
        host.ids: len(groups["always"].hosts[host.host]._target.vmapped)
        for host in plans["always"].layout.hosts
    }
    assert together == {(0, 2, 3): 8, (1, 4): 6, (5,): 0}
    losses: dict[str, list] = {mode: [] for mode in groups}
    for mode, group in groups.items():
        begin_round(group, 0)
        for number in range(num_steps):
            for report in train_step(group, plans[mode].layout, StepId(0, number)).hosts.values():
                losses[mode] += [*report.discriminator_loss.values(), *report.generator_loss.values()]
    assert len(losses["always"]) == num_steps * 6 * 2
    assert losses["always"] == pytest.approx(losses["never"], rel=1e-4)
    expected, found = (states_of(groups[mode], plans[mode]) for mode in ("never", "always"))
    for key, array in expected.items():
        if not key[-1].endswith(ROUNDING_ALONE):
            np.testing.assert_allclose(found[key], array, rtol=1e-3, atol=1e-5, err_msg=str(key))


@pytest.fixture
def group(tiny_settings: dict, samples: str):
    made = group_of(planned(tiny_settings, "always"), samples)
    yield made
    made.close()


def test_one_client_that_is_not_finite_leaves_the_others_alone(
    tiny_settings: dict, group: LocalGroup
) -> None:
    plan = planned(tiny_settings, "always")
    host = next(host for host in plan.layout.hosts if len(host.ids) == 3)
    first, *others = host.ids
    begin_round(group, 0)
    ends = group.hosts[host.host]._target._clients[first].discriminator
    with torch.no_grad():
        ends.head[0].conv.weight[0] = float("nan")
    report = train_step(group, plan.layout, StepId(0, 0)).hosts[host.host]
    assert report.faults == (
        f"client-{first:02d}: its activation or gradient is not finite in discriminate; its update is dropped",
    )
    assert set(report.discriminator_loss) == set(others)
    state = states_of(group, plan)
    assert all(np.isfinite(array).all() for key, array in state.items() if key[0] != first)


def test_a_client_that_the_body_leaves_out_sits_out(tiny_settings: dict, group: LocalGroup) -> None:
    plan = planned(tiny_settings, "always")
    number, ids = next((host.host, host.ids) for host in plan.layout.hosts if len(host.ids) == 3)
    host = group.hosts[number]._target
    host.begin_round(0)
    sent = host.generate(StepId(0, 0)).arrays
    assert tuple(sent) == ids
    shape = plan.layout.output_shape("generator", 2)
    received = {client: (np.zeros((8, *shape), np.float32),) for client in ids[1:]}
    assert tuple(host.discriminate(StepId(0, 0), Activations(StepId(0, 0), received)).arrays) == ids[1:]
