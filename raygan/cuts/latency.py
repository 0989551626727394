"""The latency model: how long one iteration takes with given cuts (model of arXiv 2507.12979).

One forward pass of one network of B blocks, client i with cut (h_i, t_i), F_b FLOPs and A_b output bytes of
block b, c FLOP/s and r bytes/s of client i (c_i, r_i) and server (c_s, r_s), n_b clients with block b in
their body:

    H_i = sum_{b<=h_i} F_b / c_i + A_{h_i} / r_i                             head, then up-link
    T_0 = 0;  T_b = max(T_{b-1}, max_{i: h_i = b-1} H_i) + F_b n_b / c_s      body blocks b = 1..B-2
    R_i = T_{B-2-t_i} + A_{B-2-t_i} / r_s + sum_{b>=B-1-t_i} F_b / c_i        down-link, then tail
    forward = max_i R_i

The backward pass, with W_b FLOPs, is its mirror image. Tails start, and send the gradient of their input,
which has the size of A_{B-2-t_i}; the body runs its blocks in reverse and sends each head the gradient of
A_{h_i}:

    G_i = sum_{b>=B-1-t_i} W_b / c_i + A_{B-2-t_i} / r_i                     tail, then up-link
    V_{B-1} = 0;  V_b = max(V_{b+1}, max_{i: B-2-t_i = b} G_i) + W_b n_b / c_s      body blocks b = B-2..1
    Q_i = V_{h_i+1} + A_{h_i} / r_s + sum_{b<=h_i} W_b / c_i                 down-link, then head
    backward = max_i Q_i

So one routine does both: the backward pass is the forward pass of the mirrored network, with block b renamed
B-1-b, W for F, A'_j = A_{B-2-j} and the cut (t_i, h_i). A body block with n_b = 0 costs nothing.

An iteration is as many forward and backward passes of each network as `raygan.step` says: one of G, and three
of D, which sees fakes, reals, and the fakes once more to train G.

**Replicas of the body** (`ray.body_replicas`), R machines that share the clients evenly: where F_b n_b / c_s and
W_b n_b / c_s stand, read F_b n_b / (R c_s) + S_b and W_b n_b / (R c_s) + S'_b, of every block with n_b > 0. With N_b
BatchNorm layers of C_b channels in all, P_b bytes of parameters, e seconds an exchange beside its bytes, p passes:

    S_b  = (N_b + 1) e + 8 (2 C_b + N_b) (R - 1) / r_s                     counts, means and squares of each layer
    S'_b = (N_b + 1) e + 8 (2 C_b) (R - 1) / r_s                           the two sums of each layer
           + (2 e + 2 P_b (R - 1) / (R r_s)) / p                           the gradients' sum, once an iteration

The 1 is the exchange of who has rows: one a stage, of which there are at most as many as blocks. R = 1 has no exchange.

**A body in sections** (`ray.body_pipeline`) is planned as one machine, and its seconds from step to step are those of
`raygan.cuts.schedule.pipelined_seconds`.

Everything depends only on how many clients of each class of equal devices use each cut, so that is what is
evaluated: `counts` [P, C, n], P plans at once, C classes, n cuts of the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.names import Cut, Direction, NetworkName
from raygan.step import num_passes

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def phase_name(network: NetworkName, direction: Direction) -> str:
    """All passes of a network in one direction: generator_forward, ..."""
    return f"{network}_{direction}"


@dataclass(frozen=True)
class PassTimes:
    """One pass of a network in one direction, seconds. C classes, B blocks, levels 0..B-3, n cuts.

    A client "enters" the body after its blocks 0..level and "leaves" it before its blocks B-1-level..B-1, in
    the order of this pass (so for the backward pass it enters after its tail).
    """

    network: NetworkName
    direction: Direction
    first_s: Floats
    """[C, B-2]: computing blocks 0..level."""
    up_s: Floats
    """[C, B-2]: sending block `level`'s output to the server."""
    down_s: Floats
    """[B-2]: sending it back, before blocks B-1-level..B-1."""
    last_s: Floats
    """[C, B-2]: computing blocks B-1-level..B-1."""
    block_s: Floats
    """[B]: the server, one block for one client."""
    enter: Ints
    """[n]: level at which each cut enters."""
    leave: Ints
    """[n]: level at which each cut leaves."""
    exchange_s: Floats = field(default_factory=lambda: np.zeros(0))
    """[B]: replicas of the server, a block that any client leaves to them; without replicas 0."""
    border_s: Floats = field(default_factory=lambda: np.zeros(0))
    """[B]: a section of the server that begins with the block, receiving one client's rows from the section before it."""

    def __post_init__(self) -> None:
        for name in ("exchange_s", "border_s"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.zeros(len(self.block_s)))

    @property
    def phase(self) -> str:
        """Its phase's name."""
        return phase_name(self.network, self.direction)

    @property
    def repeats(self) -> int:
        """How often an iteration has it."""
        return num_passes(self.network)

    @property
    def num_blocks(self) -> int:
        """B."""
        return len(self.block_s)

    @property
    def ready_s(self) -> Floats:
        """[C, B-2]: H of the module docstring."""
        return self.first_s + self.up_s

    @property
    def finish_s(self) -> Floats:
        """[C, B-2]: R - T of the module docstring."""
        return self.down_s + self.last_s

    def seconds(self, counts: Floats) -> Floats:
        """[P]: seconds of the pass for P plans at once: counts [P, C, n], clients of each class that use each cut."""
        levels = self.num_blocks - 2
        entering = counts @ np.eye(levels)[self.enter]  # [P, C, levels]
        leaving = counts @ np.eye(levels)[self.leave]
        ready_s = np.where(entering > 0, self.ready_s, -np.inf).max(axis=1)  # [P, levels]
        finish_s = np.where(leaving > 0, self.finish_s, -np.inf).max(axis=1)
        enters, leaves = entering.sum(axis=1), leaving.sum(axis=1)
        body_s, end_s = np.zeros(len(counts)), np.zeros(len(counts))
        inside = np.zeros(len(counts))
        for block in range(1, levels + 1):
            inside = inside + enters[:, block - 1]
            body_s = np.maximum(body_s, ready_s[:, block - 1]) + self.block_s[block] * inside
            body_s = body_s + self.exchange_s[block] * (inside > 0)
            end_s = np.maximum(end_s, body_s + finish_s[:, levels - block])
            inside = inside - leaves[:, levels - block]
        return end_s


def pass_times(
    network: NetworkName, cost: NetworkCost, cuts: Sequence[Cut], devices: Sequence[Device], server: Server
) -> tuple[PassTimes, PassTimes]:
    """A network's (forward, backward) pass, for its valid cuts [n] and one device of each class [C]."""
    speeds = np.array([[device.flops_per_s] for device in devices])
    links = np.array([[device.bytes_per_s] for device in devices])

    def tabulate(
        direction: Direction, flops: Sequence[float], up: Sequence[float], down: Sequence[float], cuts: Ints
    ) -> PassTimes:
        levels = len(flops) - 2
        return PassTimes(
            network=network,
            direction=direction,
            first_s=np.cumsum(flops)[:levels] / speeds,
            up_s=np.array(up)[:levels] / links,
            down_s=np.array(down)[::-1][1 : levels + 1] / server.bytes_per_s,
            last_s=np.cumsum(flops[::-1])[:levels] / speeds,
            block_s=np.array(flops) / (server.flops_per_s * server.replicas),
            enter=cuts[:, 0],
            leave=cuts[:, 1],
            exchange_s=exchange_seconds(network, direction, cost, server),
            border_s=np.array(carried[direction]) / server.bytes_per_s,
        )

    table = np.array(cuts)
    carried = {"forward": (0.0, *cost.bytes_carried()[:-1]), "backward": tuple(reversed(cost.bytes_carried()))}
    back_up, back_down = ((*reversed(sent[:-1]), 0.0) for sent in (cost.bytes_back_up(), cost.bytes_back_down()))
    return (
        tabulate("forward", cost.forward_flops, cost.output_bytes, cost.bytes_down(), table),
        tabulate("backward", cost.backward_flops[::-1], back_up, back_down, table[:, ::-1]),
    )


def exchange_seconds(network: NetworkName, direction: Direction, cost: NetworkCost, server: Server) -> Floats:
    """[B], in the order of the pass: S_b or S'_b of the module docstring; 0 of a server without replicas."""
    nothing, others = np.zeros(cost.num_blocks), server.replicas - 1
    if not others:
        return nothing
    layers, channels, parameter_bytes = (
        nothing if values is None else np.array(values)
        for values in (cost.norm_layers, cost.norm_channels, cost.parameter_bytes)
    )
    calls = (layers + 1) * server.exchange_s
    if direction == "forward":
        return calls + 8 * (2 * channels + layers) * others / server.bytes_per_s
    gradients_s = 2 * server.exchange_s + 2 * parameter_bytes * others / (server.replicas * server.bytes_per_s)
    seconds: Floats = calls + 16 * channels * others / server.bytes_per_s + gradients_s / num_passes(network)
    return seconds[::-1]
