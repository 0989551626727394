"""The clients of one actor: takes each client's turn of a step and packs what they send into one record."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import torch

from raygan.config.schema import Config
from raygan.nn.network import build_networks
from raygan.randomness import torch_seed
from raygan.simulation.emulation import Pacer
from raygan.simulation.executors import InStep, NonFiniteError, Tensors, Turn, one_by_one
from raygan.simulation.vmap_choice import blocks_to_vmap
from raygan.split.client import Client
from raygan.split.contract import TURNS
from raygan.split.layout import Layout, WorkerPlan
from raygan.storage import read_arrays, write_arrays
from raygan.wire.codec import CPU, decode, encode, is_finite
from raygan.wire.records import (
    NETWORKS,
    Activations,
    BlockAverage,
    CheckIn,
    Gradients,
    Inventory,
    Lost,
    State,
    StepId,
    StepReport,
    Traffic,
    WirePart,
    Written,
    num_bytes,
)
from raygan.wire.traffic import TrafficCounter

FromBody = Activations | Gradients | Lost
Parts = tuple[WirePart, ...]
ClientTurn = Callable[[Client, Tensors], Turn[Tensors | None]]


class SplitClients:
    """One or several clients that share a profile and its cuts.

    A client that the body's message does not mention was late: it sits out the rest of the round. One whose
    numbers are not finite sits out the rest of the step.

    Args:
        device: where its clients compute.
        again: it takes the place of a lost one: a client whose data cannot be read any more takes no part, instead of
            being the user's mistake.
    """

    def __init__(
        self,
        plan: WorkerPlan,
        layout: Layout,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        self.plan, self._device = plan, device
        self._codec, self._direct = config.wire.codec, config.ray.transport == "direct"
        networks = build_networks(layout.spec, config.model.blocks, torch_seed(config.seed, "networks"))
        self._clients = {
            client.client: Client(client, copy.deepcopy(networks), layout.spec, config, device, again)
            for client in plan.clients
        }
        self.vmapped = blocks_to_vmap(plan, layout, networks, config, device)
        """The blocks that its clients compute at once."""
        ends = {
            number: {network: client.ends(network) for network in NETWORKS}
            for number, client in self._clients.items()
        }
        self._take = InStep(ends, self.vmapped) if self.vmapped else one_by_one
        self._active: dict[int, Client] = {}
        self._left_out: set[int] = set()
        self._step = StepId(-1, -1)
        self._pacer = Pacer(layout.pace, plan.name)
        self._traffic = TrafficCounter()
        self._reset_counts()

    def inventory(self) -> list[Inventory]:
        """What each client holds: counts only."""
        return [client.inventory() for client in self._clients.values()]

    def begin_round(self, round_number: int, taking_part: Collection[int] | None = None) -> None:
        """Prepares the minibatches of a round.

        Args:
            taking_part: the clients of the federation that take part in it; None: all.
        """
        self._traffic.forget()
        self._left_out = set() if taking_part is None else set(self._clients) - set(taking_part)
        for number, client in self._clients.items():
            if number not in self._left_out:
                client.begin_round(round_number)

    def generate(self, step: StepId) -> Activations:
        """Begins a step: the clients whose local epochs are not over, through their G heads."""
        self._reset_counts()
        self._step = step
        if self.vmapped:
            for client in self._clients.values():
                client.abandon()  # one that was dropped gets gradients of zero, or NaN, from the graph that it shares
        self._active = {
            number: client
            for number, client in self._clients.items()
            if number not in self._left_out and client.takes_part(step.step)
        }
        return Activations(step, self._each("generate", lambda client, _: client.generate(step.step)))

    def discriminate(self, step: StepId, message: FromBody) -> Activations:
        """Fakes and reals through the D heads."""
        return Activations(step, self._each("discriminate", Client.discriminate, message))

    def judge(self, step: StepId, message: FromBody) -> Gradients:
        """Discriminator losses and their gradients at the D tails."""
        return Gradients(step, self._each("judge", Client.judge, message))

    def update_discriminator(self, step: StepId, message: FromBody) -> Activations:
        """D heads' updates, then the same fakes through them."""
        return Activations(step, self._each("update_discriminator", Client.update_discriminator, message))

    def fool(self, step: StepId, message: FromBody) -> Gradients:
        """Generator losses and their gradients at the D tails."""
        return Gradients(step, self._each("fool", Client.fool, message))

    def backpropagate(self, step: StepId, message: FromBody) -> Gradients:
        """On through D heads and G tails."""
        return Gradients(step, self._each("backpropagate", Client.backpropagate, message))

    def update_generator(self, step: StepId, message: FromBody) -> StepReport:
        """G heads' updates; ends the step."""
        self._each("update_generator", Client.update_generator, message)
        self._faults += self._pacer.end_step(step)
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
        )

    def check_in(self) -> CheckIn:
        """The clients that can be averaged, and what is wrong with the others."""
        wrong = {}
        for number, client in self._clients.items():
            if client.unreadable is not None:
                error = client.unreadable
                wrong[number] = f"cannot read its data again ({error.where}: {error.found}); it takes no part"
            elif not client.is_finite():
                wrong[number] = "its parameters are not finite; it takes over an average"
        return CheckIn(
            {number: client.num_held for number, client in self._clients.items() if number not in wrong},
            tuple(f"client-{number:02d}: {problem}" for number, problem in wrong.items()),
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
                self._clients[number].load(average.block, average.state)
                self._traffic.add("aggregator", "client", "BlockAverage", num_bytes(average))
        return None

    def traffic(self) -> Traffic:
        """What its clients sent and were sent since the round began."""
        return self._traffic.take()

    def rejoin(self, averages: Mapping[int, Sequence[BlockAverage | Lost]]) -> Lost | None:
        """As `load`, for clients that were left out of the round: their optimizers begin anew as well."""
        for number in averages:
            self._clients[number].forget_moments()
        return self.load(averages)

    def save(self, folder: str) -> list[Written]:
        """Each client writes its own file: heads, tails, optimizers."""
        return [
            write_arrays(Path(folder) / client_file(number), client.arrays())
            for number, client in self._clients.items()
        ]

    def restore(self, folder: str, without: Mapping[int, str] | None = None) -> None:
        """Each client reads its own file.

        Args:
            without: client that has none -> the file of the cluster whose average it takes over.
        """
        averages = without or {}
        for number, client in self._clients.items():
            if number in averages:
                client.take_over(read_arrays(Path(folder) / averages[number]))
            else:
                client.restore(read_arrays(Path(folder) / client_file(number)))

    def _reset_counts(self) -> None:
        self._seconds: dict[str, float] = {}
        self._faults: list[str] = []
        self._sent = self._received = 0

    def _each(self, phase: str, turn: ClientTurn, message: FromBody | None = None) -> dict[int, Parts]:
        """Every active client's turn.

        A client that the message leaves out, or whose loss or arrays are not finite, is dropped: it must not
        reach the merged batch, where one NaN would be everybody's.
        """
        started = time.perf_counter()
        received = self._received_by(message)
        for number, client in list(self._active.items()):
            if number not in received:
                self._left_out.add(number)
                self._drop(number, client)
        turns = {
            number: self._turn(turn, client, received[number]) for number, client in self._active.items()
        }
        sent = {}
        for number, out in self._take(turns).items():
            if isinstance(out, NonFiniteError):
                self._faults.append(f"client-{number:02d}: {out} in {phase}; its update is dropped")
                self._drop(number, self._active[number])
            elif out is not None:
                sent[number] = out
        self._count(phase, message, sent)
        self._pacer.hold_client(phase, started, {n: client.num_images for n, client in self._active.items()})
        self._seconds[phase] = time.perf_counter() - started
        return sent

    def _received_by(self, message: FromBody | None) -> Mapping[int, Parts]:
        """Client -> what the body sent it; None, at the step's beginning, is nothing for everybody."""
        if message is None:
            return dict.fromkeys(self._active, ())
        if not isinstance(message, Lost) and message.step != self._step:
            message = Lost(f"a message of {message.step} came in {self._step}")
        if isinstance(message, Lost):
            self._faults.append(f"{self.plan.name}: {message.reason}")
            return {}
        return message.arrays

    def _count(self, phase: str, message: FromBody | None, sent: Mapping[int, Parts]) -> None:
        if isinstance(message, (Activations, Gradients)):
            kind = type(message).__name__
            for number, parts in message.arrays.items():
                size = num_bytes(parts)
                self._received += size
                self._traffic.add("body", "client", kind, size, number)
        for number, parts in sent.items():
            size = num_bytes(parts)
            self._sent += size
            self._traffic.add("client", "body", TURNS[phase].record.__name__, size, number)

    def _turn(self, turn: ClientTurn, client: Client, received: Parts) -> Turn[Parts | None]:
        """A client's turn from wire to wire."""
        _check_finite(received)
        out = yield from turn(client, tuple(decode(part, self._device) for part in received))
        if out is None:
            return None
        sent = encode(out, self._codec, self._direct)
        _check_finite(sent)
        return sent

    def _drop(self, number: int, client: Client) -> None:
        client.abandon()
        del self._active[number]


def _check_finite(parts: Parts) -> None:
    """Nothing, or:

    Raises:
        NonFiniteError: a tensor holds NaN or inf.
    """
    if not all(is_finite(part) for part in parts):
        raise NonFiniteError("its activation or gradient is not finite")


def client_file(client: int) -> str:
    """Name of a client's heads, tails and optimizers in a checkpoint."""
    return f"client-{client:04d}.safetensors"
