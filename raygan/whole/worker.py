"""What workers have in common whose clients train whole networks: data, networks, and steps that are one call each."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch

from raygan.config.schema import Config
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.parties.clients import HostedClients, HostedT
from raygan.parties.data_owner import DataOwner
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.randomness import torch_seed
from raygan.whole.networks import WholeNetworks, WholeStep
from raygan.wire.codec import CPU
from raygan.wire.records import StepId, StepReport
from raygan.wire.statistics import merged


class TrainingClients(HostedClients[HostedT]):
    """One or several clients on one device. All networks begin as those of the run's seed.

    Args:
        device: where its clients compute.
        again: it takes the place of a lost one, so data that cannot be read is a client's fault.

    Raises:
        DataError: data that cannot be read, the first time.
    """

    def __init__(
        self,
        plan: WorkerPlan[ClientPlan],
        spec: NetworkSpec,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        self.plan, self._config = plan, config
        training, seed = config.training, config.seed
        initial = build_networks(spec, config.model.blocks, torch_seed(seed, "networks"))
        owners = [
            DataOwner(one.client, one.data, training, seed, spec.latent_size, device, again) for one in plan.clients
        ]
        clients = self._equipped(owners, lambda: WholeNetworks(initial, training, device))
        super().__init__(dict(zip(plan.ids, clients, strict=True)))

    @abstractmethod
    def _equipped(self, owners: Sequence[DataOwner], new_networks: Callable[[], WholeNetworks]) -> list[HostedT]:
        """The clients, in order: each owner of data with the networks that it trains."""

    @abstractmethod
    def train(self, step: StepId) -> StepReport:
        """One step of every client that takes part. One whose loss is not finite is found when it checks in."""


def step_report(step: StepId, worker: int, steps: Mapping[int, WholeStep], seconds: float) -> StepReport:
    """What a worker tells of its clients' steps."""
    return StepReport(
        step=step,
        discriminator_loss={number: one.discriminator_loss for number, one in steps.items()},
        generator_loss={number: one.generator_loss for number, one in steps.items()},
        num_images=sum(one.num_images for one in steps.values()),
        seconds={"train": seconds},
        bytes_sent=0,
        bytes_received=0,
        faults=tuple(
            f"client-{number:02d}: its loss is not finite"
            for number, one in steps.items()
            if not math.isfinite(one.discriminator_loss + one.generator_loss)
        ),
        worker=worker,
        statistics=merged(one.statistics for one in steps.values()),
    )
