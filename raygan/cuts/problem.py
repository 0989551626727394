"""A planning problem as the solvers see it: classes of interchangeable clients, and tables in seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import Anchor, anchor_pair, local_blocks, valid_cuts
from raygan.cuts.latency import Bools, Floats, Ints, PassTimes, pass_times
from raygan.errors import CutError
from raygan.names import NETWORKS, Cut, Cuts, NetworkName
from raygan.step import num_passes

if TYPE_CHECKING:
    from raygan.cuts.leakage import Bound


@dataclass(frozen=True)
class Problem:
    """Two networks, C classes of interchangeable clients, K clients. Built by `problem()`.

    An assignment of cuts to clients is `choice` [K, 2]: indices into `cuts` of the generator and the
    discriminator. Where all clients of a class have the same cuts, it is a plan [C, 2].
    """

    costs: tuple[NetworkCost, NetworkCost]
    cuts: tuple[tuple[Cut, ...], tuple[Cut, ...]]
    """Valid cuts of each network, ascending."""
    clients: tuple[Device, ...]
    """[K]."""
    classes: tuple[Device, ...]
    """[C]: one device of each class."""
    class_of: Ints
    """[K]: class of each client."""
    sizes: Ints
    """[C]: clients of each class."""
    allowed: Bools
    """[C, n_G, n_D]: pairs of cuts that a class may use."""
    passes: tuple[tuple[PassTimes, PassTimes], tuple[PassTimes, PassTimes]]
    """(forward, backward) of each network."""
    bytes_of: tuple[Floats, Floats]
    """[n] of each network: bytes of an iteration of a client with each cut, up and down."""
    seconds_a_byte: float = 0.0
    """What a byte counts in `value`; 0: nothing."""
    quiet: Bools | None = None
    """[n_G, n_D]: pairs of cuts that tell no more than the bound, `allowed` among them; None: there is no bound."""

    @cached_property
    def side_s(self) -> dict[tuple[int, int], Floats]:
        """(network, side) -> [level]: what the bytes at one end of a client's cut count in `value`."""
        return {
            (network, side): self.seconds_a_byte * end_bytes(self.costs[network], NETWORKS[network], side)
            for network in (0, 1)
            for side in (0, 1)
        }

    @cached_property
    def price_s(self) -> tuple[Floats, Floats]:
        """[n] of each network: what the bytes of a client with each cut count in `value`."""
        return self.seconds_a_byte * self.bytes_of[0], self.seconds_a_byte * self.bytes_of[1]

    def network_seconds(self, network: int, plans: Ints) -> Floats:
        """[P]: a network's share of the value of an iteration, for plans [P, C] of its cuts."""
        counts = np.eye(len(self.cuts[network]))[plans] * self.sizes[None, :, None]
        forward, backward = self.passes[network]
        latency_s = forward.repeats * (forward.seconds(counts) + backward.seconds(counts))
        return latency_s + counts.sum(axis=1) @ self.price_s[network] if self.seconds_a_byte else latency_s

    def plan_seconds(self, plans: Ints) -> Floats:
        """[P]: value of an iteration, for plans [P, C, 2]."""
        generator, discriminator = (self.network_seconds(network, plans[:, :, network]) for network in (0, 1))
        return generator + discriminator

    def uniform_seconds(self) -> Floats:
        """[n_G, n_D]: value of an iteration in which everyone has the same cuts, whether allowed or not."""
        everyone = range(len(self.classes))
        return self.moved_seconds(np.zeros((len(everyone), 2), dtype=np.int64), everyone)

    def moved_seconds(self, plan: Ints, members: Sequence[int]) -> Floats:
        """[n_G, n_D]: value of an iteration if some classes of a plan [C, 2] move to each pair of cuts."""
        shares_s = []
        for network, cuts in enumerate(self.cuts):
            trials = np.repeat(plan[None, :, network], len(cuts), axis=0)
            trials[:, members] = np.arange(len(cuts))[:, None]
            shares_s.append(self.network_seconds(network, trials))
        return np.add.outer(shares_s[0], shares_s[1])

    def uniform_plans(self, most: int) -> Ints:
        """[S, C, 2]: at most `most` plans, as uniform as the classes' limits permit, about the best first."""
        order = np.argsort(self.uniform_seconds(), axis=None, kind="stable")
        flat = self.allowed.reshape(len(self.classes), -1)
        first_allowed = flat.argmax(axis=1)
        plans = np.array([np.where(flat[:, pair], pair, first_allowed) for pair in order[:most]])
        width = len(self.cuts[1])
        return np.stack([plans // width, plans % width], axis=2)

    def passes_with(self, choice: Ints) -> Iterator[tuple[PassTimes, Ints]]:
        """Every pass with the cut of each client [K], for an assignment [K, 2]."""
        for passes, cut_of in zip(self.passes, choice.T, strict=True):
            yield from ((one, cut_of) for one in passes)

    def parts(self, choice: Ints) -> dict[str, float]:
        """Seconds of each phase of an iteration (all its passes), by name, for an assignment [K, 2]."""
        return {
            one.phase: one.repeats * float(one.seconds(self._counts(one, cut_of)[None])[0])
            for one, cut_of in self.passes_with(choice)
        }

    def latency(self, choice: Ints) -> float:
        """Seconds of an iteration, for an assignment [K, 2]."""
        return sum(self.parts(choice).values())

    def bytes(self, choice: Ints) -> float:
        """Bytes that all clients send and receive in an iteration, for an assignment [K, 2]."""
        return sum(float(of_cut[cut_of].sum()) for of_cut, cut_of in zip(self.bytes_of, choice.T, strict=True))

    def value(self, choice: Ints) -> float:
        """What the solvers minimise: the latency, seconds, and `seconds_a_byte` for each byte."""
        latency_s = self.latency(choice)
        return latency_s + self.seconds_a_byte * self.bytes(choice) if self.seconds_a_byte else latency_s

    def _counts(self, one: PassTimes, cut_of: Ints) -> Floats:
        """[C, n]: clients of each class that use each cut."""
        counts = np.zeros((len(self.classes), len(one.enter)))
        np.add.at(counts, (self.class_of, cut_of), 1)
        return counts

    def client_cuts(self, choice: Ints) -> tuple[Cuts, ...]:
        """The cuts of each client, for an assignment [K, 2]."""
        generator, discriminator = self.cuts
        return tuple((generator[g], discriminator[d]) for g, d in choice)

    def choice_of(self, cuts: Sequence[Cuts]) -> Ints:
        """The assignment [K, 2] of given cuts.

        Raises:
            CutError: wrong number of clients, or a cut that is not valid or not allowed for its client.
        """
        if len(cuts) != len(self.clients):
            found = f"{len(cuts)} entries for {len(self.clients)} clients"
            raise CutError("cuts", found, "give one pair a client")
        return np.array([self._index(client, pair) for client, pair in enumerate(cuts)], dtype=np.int64)

    def _index(self, client: int, pair: Cuts) -> list[int]:
        owner = f"device {self.clients[client].name!r}"
        index = []
        for network, known, cut in zip(NETWORKS, self.cuts, pair, strict=True):
            if tuple(cut) not in known:
                remedy = f"give one of {', '.join(map(str, known))}"
                raise CutError(f"{network} cut of {owner}", f"{tuple(cut)} is not valid", remedy)
            index.append(known.index((cut[0], cut[1])))
        if not self.allowed[self.class_of[client], index[0], index[1]]:
            found = f"{pair} breaks its memory limit or its local_blocks or server_blocks"
            if self.quiet is not None and not self.quiet[index[0], index[1]]:
                found = f"{pair} tells more than cuts.max_leakage"
            raise CutError(f"cuts of {owner}", found, "give another cut, or lift the limit")
        return index


def problem(
    generator: NetworkCost,
    discriminator: NetworkCost,
    devices: Sequence[Device],
    server: Server,
    anchor: Anchor = 2,
    bound: Bound | None = None,
    seconds_a_byte: float = 0.0,
) -> Problem:
    """Group the clients into classes of equal devices, and tabulate every time that the model needs.

    Args:
        bound: how much cuts may tell; None: anything.
        seconds_a_byte: what a byte counts in what is minimised.

    Raises:
        CutError: no devices, an anchor that is not a middle block, a device that no valid cut fits, a bound that none
            keeps, or times that overflow.
    """
    if not devices:
        raise CutError("devices", "empty", "give one device a client")
    costs = (generator, discriminator)
    anchors = anchor_pair(anchor)
    cuts = (valid_cuts(generator.num_blocks, anchors[0]), valid_cuts(discriminator.num_blocks, anchors[1]))
    classes, class_of = _group(devices)
    with np.errstate(over="ignore"):  # `_check_finite` says it better
        allowed = np.array([allowed_pairs(device, costs, cuts) for device in classes])
        passes = (
            pass_times("generator", generator, cuts[0], classes, server),
            pass_times("discriminator", discriminator, cuts[1], classes, server),
        )
        _check_finite([*passes[0], *passes[1]], len(devices))
    quiet = None if bound is None else bound.allows(cuts, allowed)
    if quiet is not None:
        allowed = allowed & quiet
    sizes = np.bincount(class_of).astype(np.int64)
    bytes_of = (cut_bytes(generator, "generator", cuts[0]), cut_bytes(discriminator, "discriminator", cuts[1]))
    return Problem(
        costs, cuts, tuple(devices), classes, class_of, sizes, allowed, passes, bytes_of, seconds_a_byte, quiet
    )


def end_bytes(cost: NetworkCost, network: NetworkName, side: int) -> Floats:
    """[level]: bytes of an iteration at one end of a client's cut, both ways: of each pass the activation and its
    gradient.

    Args:
        side: 0, behind the head (level h), or 1, before the tail (level t).
    """
    if side == 0:
        both = np.array(cost.output_bytes) + cost.bytes_back_down()
    else:
        both = (np.array(cost.bytes_down()) + cost.bytes_back_up())[-2::-1]
    return num_passes(network) * both[: cost.num_blocks - 2]


def cut_bytes(cost: NetworkCost, network: NetworkName, cuts: Sequence[Cut]) -> Floats:
    """[n]: bytes that a client with each of the cuts sends and receives in an iteration."""
    head, tail = (end_bytes(cost, network, side) for side in (0, 1))
    return np.array([head[h] + tail[t] for h, t in cuts])


def _group(devices: Sequence[Device]) -> tuple[tuple[Device, ...], Ints]:
    """One device of each class, and the class of each client; names do not matter, numbers and limits do."""
    kinds = [replace(device, name="") for device in devices]
    first: dict[Device, Device] = {}
    for kind, device in zip(kinds, devices, strict=True):
        first.setdefault(kind, device)
    number = {kind: place for place, kind in enumerate(first)}
    return tuple(first.values()), np.array([number[kind] for kind in kinds], dtype=np.int64)


def _check_finite(passes: Sequence[PassTimes], num_clients: int) -> None:
    """Refuse numbers that are fine one by one but overflow together."""
    total = sum(
        float(table.sum()) for one in passes for table in (one.ready_s, one.finish_s, one.block_s * num_clients)
    )
    if not np.isfinite(total):
        raise CutError("devices", "the predicted times overflow", "check flops_per_s and bytes_per_s")


def allowed_pairs(
    device: Device, costs: tuple[NetworkCost, NetworkCost], cuts: tuple[tuple[Cut, ...], tuple[Cut, ...]]
) -> Bools:
    """Which pairs of cuts the device may use: bool [generator's cuts, discriminator's cuts].

    Raises:
        CutError: none is allowed; it names the device, what it needs and what it has.
    """
    allowed = np.outer(*(_keeps(device, network, costs[network], cuts[network]) for network in (0, 1)))
    if device.memory_bytes is None:
        return allowed
    need_bytes = np.add.outer(*(_needs_bytes(device, network, costs[network], cuts[network]) for network in (0, 1)))
    fits = allowed & (need_bytes <= device.memory_bytes)
    if not fits.any():
        least = need_bytes[allowed].min()
        found = f"needs at least {least:,.0f} bytes, has {device.memory_bytes:,.0f}"
        remedy = "use a smaller batch, narrower networks or more memory"
        raise CutError(f"memory_bytes of device {device.name!r}", found, remedy)
    return fits


def _keeps(device: Device, network: int, cost: NetworkCost, cuts: tuple[Cut, ...]) -> Bools:
    """Which cuts keep local what must be, and leave what must not: bool [cuts]."""
    must, must_not = set(device.local_blocks[network]), set(device.server_blocks[network])
    where = f"local_blocks and server_blocks of device {device.name!r}"
    outside = [block for block in must | must_not if not 0 <= block < cost.num_blocks]
    if outside:
        found = f"block {outside[0]} of a {NETWORKS[network]} of {cost.num_blocks} blocks"
        raise CutError(where, found, f"give blocks from 0 to {cost.num_blocks - 1}")
    local = [set(local_blocks(cut, cost.num_blocks)) for cut in cuts]
    keeps = np.array([must <= blocks and not (must_not & blocks) for blocks in local])
    if not keeps.any():
        found = f"no valid cut of the {NETWORKS[network]} keeps {sorted(must)} and leaves {sorted(must_not)}"
        raise CutError(where, found, "ask for fewer blocks, or move the anchor")
    return keeps


def _needs_bytes(device: Device, network: int, cost: NetworkCost, cuts: tuple[Cut, ...]) -> Floats:
    """Bytes that a client needs for its blocks of one network, for each of `cuts`."""
    if cost.memory_bytes is None:
        field = "parameter_bytes" if cost.parameter_bytes is None else "activation_bytes"
        found = f"missing, but device {device.name!r} has memory_bytes"
        raise CutError(f"{NETWORKS[network]}.{field}", found, "give it, or leave memory_bytes out")
    memory = cost.memory_bytes
    return np.array([sum(memory[block] for block in local_blocks(cut, cost.num_blocks)) for cut in cuts])


class Deadline:
    """A point in time that a solver must not pass."""

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._end_s - time.monotonic())
