"""What a step tells of D and of gradients, worked out again from the client's own tensors."""

from __future__ import annotations

import math

import pytest
import torch

from raygan.config.loading import make_config
from raygan.nn.network import gradient_norm
from raygan.nn.optimizer import FusedAdam
from raygan.run.plan import make_plan
from raygan.simulation.executors import Run
from raygan.wire.records import StepId, StepReport
from raygan.wire.statistics import merged
from tests.federations import in_process


def test_the_norm_is_of_all_gradients_together() -> None:
    """(3, 4) and 12: 13. A parameter without a gradient does not count."""
    parameters = [torch.zeros(2), torch.zeros(1), torch.zeros(1)]
    parameters[0].grad, parameters[1].grad = torch.tensor([3.0, 4.0]), torch.tensor([12.0])
    optimizer = torch.optim.Adam(parameters)
    assert gradient_norm(optimizer).item() == 13.0
    optimizer.zero_grad()
    assert gradient_norm(optimizer).item() == 0.0


def test_d_of_fakes_and_reals_by_hand(two_clients: dict) -> None:
    """The client's D tail is put aside: its logits are given."""
    plan = make_plan(make_config(two_clients))
    started = in_process(plan)
    client = started.backend.workers[0]._party._clients[0]  # type: ignore[attr-defined]
    client._labels = client._fake_labels = None  # of a tail that takes none
    given = [torch.tensor([math.log(3), 0.0]), torch.tensor([-math.log(3), -math.log(4), math.log(4)])]
    logits = [x.requires_grad_() for x in given]
    phase = client.discriminator_loss((torch.zeros(2, 1), torch.zeros(3, 1)))
    assert isinstance(phase.send(None), Run)
    phase.send(logits[0])
    phase.send(logits[1])
    started.close()
    found = client.statistics
    assert found["discriminator_fake"].value == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert found["discriminator_real"].value == pytest.approx((1 / 4 + 1 / 5 + 4 / 5) / 3)


def test_a_step_has_the_norms_of_everybodys_gradients(two_clients: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(make_config(two_clients))
    started = in_process(plan)
    seen: list[float] = []
    step_of_adam = FusedAdam.step

    def watched(self: FusedAdam) -> None:
        parameters = [p for group in self.param_groups for p in group["params"]]
        flat = torch.cat([p.grad.flatten() for p in parameters if p.requires_grad])
        seen.append(flat.double().norm().item())
        step_of_adam(self)

    monkeypatch.setattr(FusedAdam, "step", watched)
    started.begin_round(0)
    step = started.step(StepId(0, 0))
    monkeypatch.undo()
    report, of_body = started.backend.fetch([step.workers[0], step.server])
    started.close()
    assert isinstance(report, StepReport)
    body_d, *clients_d, body_g, first_g, second_g = seen  # the body's backward passes end before the heads'
    told = merged([report.statistics, of_body.statistics])
    assert set(told) == {
        "discriminator_real", "discriminator_fake", "generator_gradient_norm", "discriminator_gradient_norm",
        "body_generator_gradient_norm", "body_discriminator_gradient_norm",
    }  # fmt: skip
    assert told["discriminator_gradient_norm"].value == pytest.approx(sum(clients_d) / 2, rel=1e-5)
    assert told["generator_gradient_norm"].value == pytest.approx((first_g + second_g) / 2, rel=1e-5)
    assert told["body_discriminator_gradient_norm"].value == pytest.approx(body_d, rel=1e-5)
    assert told["body_generator_gradient_norm"].value == pytest.approx(body_g, rel=1e-5)
    assert told["generator_gradient_norm"].count == 2
    assert told["discriminator_real"].count == report.num_images
