"""The clients of one actor: computes each client's phases and packs what they send into one record."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence

import torch

from raygan.config.schema import Config
from raygan.names import NETWORKS, Codec
from raygan.nn.start import initial_networks
from raygan.nn.vmapped import Tensors
from raygan.parties.clients import HostedClients
from raygan.parties.masked import MaskedClients
from raygan.simulation.emulation import Pacer
from raygan.simulation.executors import Computation, NonFiniteError
from raygan.split.client import Client
from raygan.split.contract import Contract
from raygan.split.layout import Layout, WorkerPlan
from raygan.split.vmap_choice import choose_executor
from raygan.step import PHASES
from raygan.wire.codec import CPU, decode, encode, is_finite
from raygan.wire.records import (
    MESSAGES,
    Activations,
    BlockAverage,
    Gradients,
    Lost,
    State,
    StepId,
    StepReport,
    WirePart,
    num_bytes,
)
from raygan.wire.statistics import Mean, merged

FromBody = Activations | Gradients | Lost
Parts = tuple[WirePart, ...]
ClientPhase = Callable[[Client, Tensors], Computation[Tensors | None]]


class SplitClients(MaskedClients[Client], HostedClients[Client]):
    """One or several clients that share a profile and its cuts.

    A client that the body's message does not mention was late: it sits out the rest of the round. One whose
    numbers are not finite sits out the rest of the step.

    Args:
        device: where its clients compute.
        again: it takes the place of a lost one: a client whose data cannot be read any more takes no part, instead of
            being the user's mistake.
    """

    sends = frozenset({Activations, Gradients, State})

    def __init__(
        self,
        plan: WorkerPlan,
        layout: Layout,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        self.plan, self._device = plan, device
        self._wire, self._direct = config.wire, config.ray.transport == "direct"
        networks = initial_networks(layout.spec, config)
        clients = {
            client.client: Client(client, copy.deepcopy(networks), layout.spec, config, device, again)
            for client in plan.clients
        }
        super().__init__(clients, config.privacy)
        self._contract = Contract(layout, config.training.batch_size)
        blocks = {number: client.blocks for number, client in clients.items()}
        self._executor = choose_executor(plan, layout, networks, config, device, blocks)
        self._active: dict[int, Client] = {}
        self._step = StepId(-1, -1)
        self._pacer = Pacer(layout.pace, plan.name)
        self._reset_counts()

    def problem(self, method: str, records: object) -> str | None:
        """Why it may not send what a method returned; None: it may."""
        return super().problem(method, records) or self._contract.client_problem(self.plan.worker, method, records)

    def generate(self, step: StepId) -> Activations:
        """Begins a step: the clients whose local epochs are not over, through their G heads."""
        self._reset_counts()
        self._step = step
        for client in self._clients.values():
            client.abandon()  # one that was dropped may have got gradients since, from a graph that it shared
        self._active = self._taking_part(step.step)
        return Activations(step, self._each("generate", lambda client, _: client.generate(step.step)))

    def discriminate(self, step: StepId, message: FromBody) -> Activations:
        """Fakes and reals through the D heads."""
        return Activations(step, self._each("discriminate", Client.discriminate, message))

    def discriminator_loss(self, step: StepId, message: FromBody) -> Gradients:
        """Discriminator losses and their gradients at the D tails."""
        return Gradients(step, self._each("discriminator_loss", Client.discriminator_loss, message))

    def update_discriminator(self, step: StepId, message: FromBody) -> Activations:
        """D heads' updates, then the same fakes through them."""
        return Activations(step, self._each("update_discriminator", Client.update_discriminator, message))

    def generator_loss(self, step: StepId, message: FromBody) -> Gradients:
        """Generator losses and their gradients at the D tails."""
        return Gradients(step, self._each("generator_loss", Client.generator_loss, message))

    def backpropagate(self, step: StepId, message: FromBody) -> Gradients:
        """On through D heads and G tails."""
        return Gradients(step, self._each("backpropagate", Client.backpropagate, message))

    def update_generator(self, step: StepId, message: FromBody) -> StepReport:
        """G heads' updates; ends the step."""
        self._each("update_generator", Client.update_generator, message)
        self._faults += self._pacer.end_step(step)
        clients = list(self._active.values())
        return StepReport(
            step=step,
            discriminator_loss={number: client.losses[0] for number, client in self._active.items()},
            generator_loss={number: client.losses[1] for number, client in self._active.items()},
            num_images=sum(client.num_images for client in self._active.values()),
            seconds=self._seconds,
            bytes_sent=self._sent,
            bytes_received=self._received,
            faults=tuple(self._faults),
            worker=self.plan.worker,
            statistics=merged([*(client.statistics for client in clients), _gradient_norms(clients)]),
        )

    def state(self) -> list[State]:
        """Heads and tails of each client, in the order of their numbers."""
        return [client.state() for client in self._clients.values()]

    def load(self, averages: Mapping[int, Sequence[BlockAverage | Lost]]) -> Lost | None:
        """Each client takes over its cluster's averages of the blocks that it holds: all, or none if one is lost."""
        for average in (average for blocks in averages.values() for average in blocks):
            if isinstance(average, Lost):
                return average
        for number, blocks in averages.items():
            for average in blocks:
                assert isinstance(average, BlockAverage)
                if (readable := self._readable(average)) is not None:
                    self._clients[number].load(readable.block, readable.state)
                self._traffic.add("aggregator", "client", type(average).__name__, num_bytes(average))
        return None

    def rejoin(self, averages: Mapping[int, Sequence[BlockAverage | Lost]]) -> Lost | None:
        """As `load`, for clients that were left out of the round: their optimizers begin anew as well."""
        for number in averages:
            self._clients[number].forget_moments()
        return self.load(averages)

    def _reset_counts(self) -> None:
        self._seconds: dict[str, float] = {}
        self._faults: list[str] = []
        self._sent = self._received = 0

    def _each(self, phase: str, of_client: ClientPhase, message: FromBody | None = None) -> dict[int, Parts]:
        """A phase of every active client.

        A client that the message leaves out, or whose loss or arrays are not finite, is dropped: it must not
        reach the merged batch, where one NaN would be everybody's.
        """
        started = time.perf_counter()
        received = self._received_by(message)
        for number, client in list(self._active.items()):
            if number not in received:
                self._left_out.add(number)
                self._drop(number, client)
        crossing = PHASES[phase].sends
        codec: Codec = "float32" if crossing is None else self._wire.codec_of(crossing.direction, "up")
        computations = {
            number: self._from_wire_to_wire(of_client, client, received[number], codec)
            for number, client in self._active.items()
        }
        sent = {}
        for number, out in self._executor(computations, self.compute).items():
            if isinstance(out, NonFiniteError):
                self._faults.append(f"client-{number:02d}: {out} in {phase}; its update is dropped")
                self._drop(number, self._active[number])
            elif out is not None:
                sent[number] = out
        self._count_received(message)
        self._count_sent(phase, sent)
        self._pacer.hold_client(phase, started, {n: client.num_images for n, client in self._active.items()})
        self._seconds[phase] = time.perf_counter() - started
        return sent

    def _received_by(self, message: FromBody | None) -> Mapping[int, Parts]:
        """Client -> what the body sent it; None, at the step's beginning, is nothing for everybody."""
        if message is None:
            return dict.fromkeys(self._active, ())
        if not isinstance(message, Lost) and message.step != self._step:
            message = Lost(f"a message of {message.step} came in {self._step}", "late")
        if isinstance(message, Lost):
            self._faults.append(f"{self.plan.name}: {message.reason}")
            return {}
        return message.arrays

    def _count_received(self, message: FromBody | None) -> None:
        if isinstance(message, (Activations, Gradients)):
            for number, parts in message.arrays.items():
                size = num_bytes(parts)
                self._received += size
                self._traffic.add("body", "client", type(message).__name__, size, number)

    def _count_sent(self, phase: str, sent: Mapping[int, Parts]) -> None:
        crossing = PHASES[phase].sends
        if crossing is not None:
            for number, parts in sent.items():
                size = num_bytes(parts)
                self._sent += size
                self._traffic.add("client", "body", MESSAGES[crossing.direction].__name__, size, number)

    def _from_wire_to_wire(
        self, of_client: ClientPhase, client: Client, received: Parts, codec: Codec
    ) -> Computation[Parts | None]:
        """A client's phase, from what the body sent to what is sent to it."""
        _check_finite(received)
        out = yield from of_client(client, tuple(decode(part, self._device) for part in received))
        if out is None:
            return None
        sent = encode(out, codec, self._direct)
        _check_finite(sent)
        return sent

    def _drop(self, number: int, client: Client) -> None:
        client.abandon()
        del self._active[number]


def _gradient_norms(clients: Sequence[Client]) -> dict[str, Mean]:
    """Of each network's heads and tails in the clients' last updates; one wait for the device."""
    found = [
        (f"{network}_gradient_norm", norm)
        for network in NETWORKS
        for client in clients
        if (norm := client.ends(network).gradient_norm) is not None
    ]
    values = torch.stack([norm for _, norm in found]).tolist() if found else []
    return merged({name: Mean(value, 1)} for (name, _), value in zip(found, values, strict=True))


def _check_finite(parts: Parts) -> None:
    """Refuses numbers that cannot be sent.

    Raises:
        NonFiniteError: a tensor holds NaN or inf.
    """
    for part in parts:
        if not is_finite(part):
            raise NonFiniteError("its activation or gradient is not finite")
