"""What workers have in common whose clients train whole networks: data, networks, and steps that are one call each."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

import torch

from raygan.config.schema import Config
from raygan.nn.spec import NetworkSpec
from raygan.nn.start import initial_networks
from raygan.parties.clients import HostedClients, HostedT
from raygan.parties.data_owner import DataOwner
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.parties.owners import data_owners
from raygan.whole.networks import WholeNetworks
from raygan.wire.codec import CPU
from raygan.wire.records import StepId, StepReport


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
        training = config.training
        initial = initial_networks(spec, config)
        owners = data_owners(plan, spec, config, device, again)
        clients = self._equipped(owners, lambda: WholeNetworks(initial, training, device, config.privacy.dp))
        super().__init__(dict(zip(plan.ids, clients, strict=True)), config.privacy)

    @abstractmethod
    def _equipped(self, owners: Sequence[DataOwner], new_networks: Callable[[], WholeNetworks]) -> list[HostedT]:
        """The clients, in order: each owner of data with the networks that it trains."""

    @abstractmethod
    def train(self, step: StepId) -> StepReport:
        """One step of every client that takes part. One whose loss is not finite is found when it checks in."""
