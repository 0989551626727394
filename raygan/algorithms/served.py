"""What algorithms have in common whose generator is on a server, with a discriminator on each client."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from raygan.algorithms.base import Algorithm, Back, Model, RoundResult, ServerState, Task
from raygan.algorithms.fleet import measured_fleet, parties_of
from raygan.cuts.fleet import FleetCost
from raygan.names import with_averages, with_sealed
from raygan.nn.network import build_networks
from raygan.parties.layout import Layout, deal_to_workers
from raygan.parties.spec import Parties
from raygan.runtime.averages import Averages
from raygan.runtime.backend import Handle, Reference, by_key
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs, Submit, Submitted, needed
from raygan.served.server import GeneratorServer
from raygan.served.worker import ServedClients
from raygan.wire.records import Fakes, Feedback, Lost, StepId

FLOAT_BYTES, LABEL_BYTES = 4, 8
ServedT = TypeVar("ServedT", bound=ServedClients)
ServerT = TypeVar("ServerT", bound=GeneratorServer)


class ServedAlgorithm(Algorithm[ServedT, ServerT], Generic[ServedT, ServerT]):
    """One model for all. How G learns, and what becomes of the discriminators after an epoch, is a subclass's."""

    models_from = "server"
    reads = frozenset({"devices.emulate"})
    num_batches = 1
    """Of fakes, in a step."""
    mixes_logits = False
    """Whether the server answers logits before it learns."""
    worker_type: type[ServedT]

    def __init__(self, task: Task) -> None:
        self._config = task.config
        self.layout = Layout(deal_to_workers(task.clients, task.clients_per_actor), task.spec)
        networks = build_networks(task.spec, task.config.model.blocks, task.config.seed)
        averaged = task.config.training.average is not None
        self.generator_keys = with_averages((key for key in networks.blocks if key[0] == "generator"), averaged)
        of_d = (key for key in networks.blocks if key[0] == "discriminator")
        self.discriminator_keys = with_sealed(of_d, task.config.privacy.hide_discriminator)

    @classmethod
    def plan(cls, task: Task) -> ServedAlgorithm[ServedT, ServerT]:
        """Deals the clients to workers."""
        return cls(task)

    @abstractmethod
    def server(self) -> Callable[..., ServerT]:
        """Makes the server, given its device."""

    @cached_property
    def cost(self) -> FleetCost:
        """A discriminator on each client; fakes come, gradients go."""
        spec, size = self.layout.spec, self._config.training.batch_size
        image_bytes = FLOAT_BYTES * spec.channels * spec.image_size**2
        sent = min(2, self.num_batches) * size * (image_bytes + LABEL_BYTES)
        logits = FLOAT_BYTES * size if self.mixes_logits else 0
        return measured_fleet(self._config, spec).served(self.num_batches, sent, size * image_bytes, logits)

    def parties(self) -> Parties:
        """A worker for each device, and the server."""
        return parties_of(self.layout, self._config, self.worker_type, self.cost, self.server())

    def begin(self, federation: Federation[ServedT, ServerT], cohort: Cohort) -> None:
        """What comes before a round's first step: nothing."""

    @abstractmethod
    def end_epoch(
        self, federation: Federation[ServedT, ServerT], cohort: Cohort, epochs: Epochs, number: int
    ) -> Averages:
        """What becomes of the discriminators after an epoch.

        Args:
            number: of the epoch, from 1, over all rounds.

        Returns:
            Their average, if it is made.
        """

    def round(self, federation: Federation[ServedT, ServerT], state: ServerState, cohort: Cohort) -> RoundResult:
        """Local epochs, and what follows each; then the server's generator is everybody's."""
        epochs, num_epochs = federation.begin_round(cohort), self._config.training.local_epochs
        self.begin(federation, cohort)
        steps = cohort.num_steps // num_epochs
        discriminators: Averages = {}
        for epoch in range(num_epochs):
            federation.train(cohort, range(epoch * steps, (epoch + 1) * steps), self.submitter(federation), epochs)
            discriminators = self.end_epoch(federation, cohort, epochs, cohort.round * num_epochs + epoch + 1)
        present = federation.check_in(cohort, epochs)
        (fault,) = federation.fetch([federation.server.call(GeneratorServer.check)])
        needed(fault, "round_end")
        blocks = federation.server.call_many(len(self.generator_keys), GeneratorServer.networks)
        generator = dict(zip(self.generator_keys, blocks, strict=True))
        model = Model(0, tuple(present), {**generator, **discriminators})
        serves = dict.fromkeys(self.layout.ids, 0)
        return RoundResult(cohort, epochs, ServerState(serves=serves, num_models=1), {0: model})

    def submitter(self, federation: Federation[ServedT, ServerT]) -> Submit:
        """Submits one step: fakes to all, what they tell of them back, G's update."""

        def step(number: StepId, without: Collection[int]) -> Submitted:
            workers = {w: handle for w, handle in federation.workers.items() if w not in without}
            made = federation.server.call_many(len(workers), GeneratorServer.fakes, number, list(workers))
            told = self.feedback(federation, number, workers, dict(zip(workers, made, strict=True)))
            learnt = federation.server.call(GeneratorServer.learn, number, by_key(told))
            return Submitted(number, {w: h.call(ServedClients.report, number) for w, h in workers.items()}, learnt)

        return step

    def feedback(
        self,
        federation: Federation[ServedT, ServerT],
        step: StepId,
        workers: Mapping[int, Handle[ServedT]],
        fakes: Mapping[int, Reference[Fakes | Lost]],
    ) -> dict[int, Reference[Feedback | Lost]]:
        """Worker -> what its discriminators tell of their fakes."""
        return {worker: handle.call(ServedClients.judge, step, fakes[worker]) for worker, handle in workers.items()}

    def rejoin(
        self, federation: Federation[ServedT, ServerT], result: RoundResult, back: Back
    ) -> Reference[Lost | None] | None:
        """Who was late or not drawn has kept its discriminator; a new worker has it from the last checkpoint, and one
        that is not finite begins anew."""
        handle = federation.workers[back.worker]
        if not back.restarted:
            return handle.call(ServedClients.renew)
        if back.checkpoint is None:
            return None
        return handle.call(ServedClients.restore, back.checkpoint, back.sources)
