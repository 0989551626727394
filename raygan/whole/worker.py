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
from raygan.wire.records import BlockAverage, StepId, StepReport, num_bytes


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
        losses = {n: client.step(step.step) for n, client in self._taking_part(step.step).items()}
        return StepReport(
            step=step,
            discriminator_loss={n: d for n, (d, _, _) in losses.items()},
            generator_loss={n: g for n, (_, g, _) in losses.items()},
            num_images=sum(count for _, _, count in losses.values()),
            seconds={"train": time.perf_counter() - started},
            bytes_sent=0,
            bytes_received=0,
            faults=tuple(
                f"client-{n:02d}: its loss is not finite"
                for n, (d, g, _) in losses.items()
                if not math.isfinite(d + g)
            ),
            worker=self.plan.worker,
        )

    def networks(self) -> list[BlockAverage]:
        """Every block of each client's networks, client after client: for whom they are meant, scores and samples."""
        blocks = [block for client in self._clients.values() for block in client.networks()]
        for block in blocks:
            self._traffic.add("client", "evaluator", "BlockAverage", num_bytes(block))
        return blocks
