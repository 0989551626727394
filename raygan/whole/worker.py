"""The whole-network clients of one actor."""

from __future__ import annotations

import math
import time

import torch

from raygan.config.schema import Config
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.parties.clients import HostedClients
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.randomness import torch_seed
from raygan.whole.client import WholeClient
from raygan.wire.codec import CPU
from raygan.wire.records import BlockAverage, StepId, StepReport
from raygan.wire.statistics import merged


class WholeClients(HostedClients[WholeClient]):
    """One or several clients that hold both networks whole. All begin with the networks of the run's seed.

    Args:
        device: where its clients compute.
        again: it takes the place of a lost one.
    """

    def __init__(
        self,
        plan: WorkerPlan[ClientPlan],
        spec: NetworkSpec,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        self.plan = plan
        networks = build_networks(spec, config.model.blocks, torch_seed(config.seed, "networks"))
        super().__init__(
            {p.client: WholeClient(p, networks, spec, config, device, again) for p in plan.clients}
        )

    def train(self, step: StepId) -> StepReport:
        """One step of every client that takes part. One whose loss is not finite is found when it checks in."""
        started = time.perf_counter()
        steps = {n: client.step(step.step) for n, client in self._taking_part(step.step).items()}
        return StepReport(
            step=step,
            discriminator_loss={n: one.discriminator_loss for n, one in steps.items()},
            generator_loss={n: one.generator_loss for n, one in steps.items()},
            num_images=sum(one.num_images for one in steps.values()),
            seconds={"train": time.perf_counter() - started},
            bytes_sent=0,
            bytes_received=0,
            faults=tuple(
                f"client-{n:02d}: its loss is not finite"
                for n, one in steps.items()
                if not math.isfinite(one.discriminator_loss + one.generator_loss)
            ),
            worker=self.plan.worker,
            statistics=merged(one.statistics for one in steps.values()),
        )

    def networks(self) -> list[BlockAverage]:
        """Every block of each client's networks, client after client: for whom they are meant, scores and samples."""
        return [block for client in self._clients.values() for block in client.networks()]
