"""The body's blocks over several actors in a row: a pipeline.

Section s holds the blocks from one border to the next, of both networks. A pass goes through the sections one after the
other; each merges the clients that enter at its own blocks, and hands on what everybody who is still inside has come to,
in the order of the rows of the merged batch. All rows of a batch are therefore in one place at a time, BatchNorm sees
them all, and the numbers are those of one body, to the last bit, without any synchronisation.

The merged batches of a pass (fakes and reals of D's update) are handed on one by one: while a section works on the
second, the next has the first.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import ClassVar

import torch
from torch import Tensor

from raygan.config.schema import Config
from raygan.errors import ConfigError, PeerLostError
from raygan.names import NETWORKS, NetworkName
from raygan.nn.network import frozen
from raygan.split.body import SharedBody
from raygan.split.layout import Layout
from raygan.split.merged import MergedPass
from raygan.split.trunk import joint_norm
from raygan.step import Crossing
from raygan.wire.codec import CPU, encode
from raygan.wire.records import (
    Activations,
    Assignment,
    BodyReport,
    Gradients,
    Lost,
    State,
    StepId,
    WirePart,
    num_bytes,
    shape_of,
)
from raygan.wire.statistics import Mean

GONE = "the section of the body before it in the pass is gone"


@dataclass
class _Turn:
    """A stage of a pass, between its first merged batch and its last."""

    arrived: Mapping[int, tuple[WirePart, ...]]
    """Client -> what it sent, of all batches."""
    outputs: list[dict[int, Tensor]] = field(default_factory=list)
    """Of each batch that is done: client -> what leaves."""


class BodySection(SharedBody):
    """One section of the body: `forward_part` and `backward_part` are in the place of `forward` and `backward`."""

    merges: ClassVar[frozenset[str]] = frozenset({"forward_part", "backward_part"})

    def __init__(self, layout: Layout, config: Config, device: torch.device = CPU, section: int = 0) -> None:
        super().__init__(layout, config, device, section=section)
        self._turns: dict[tuple[str, int], _Turn] = {}
        self._first = {network: layout.stages_in[network, section][0] for network in NETWORKS}
        self._last = {network: layout.stages_in[network, section][-1] for network in NETWORKS}

    def forward_part(
        self,
        step: StepId,
        pass_name: str,
        stage_index: int,
        batch: int,
        carried: Activations | Lost | None,
        messages: Mapping[int, Activations | Lost],
    ) -> list[Activations]:
        """One stage of a forward pass, of one of its merged batches.

        Args:
            batch: its place in the pass; the batches of a stage come in order.
            carried: of the first stage of a section but the first: client -> what it has come to.
            messages: with the first batch, as `forward` has them; with the others nothing.

        Returns:
            With the last batch, as `forward`; behind them, after a section's last stage, what is carried on to the next
            section, if there is one.

        Raises:
            PeerLostError: the section before it is gone.
        """
        started, crossing = time.perf_counter(), Crossing(pass_name, "forward")
        way = crossing.way
        stage = self._stages[way.network][stage_index]
        if stage_index == self._first[way.network] and batch == 0:
            self._passes[pass_name] = self._begin(way)
        self._check(pass_name, carried)
        if carried is not None:
            for one, inside in self._carried(pass_name, batch, carried):
                one.go_on(inside)
        turn = self._turn(step, crossing, stage_index, batch, stage.entering, messages)
        leaving = self._clients_of(stage.leaving)
        outputs: dict[int, Tensor] = {}
        for one, entering in self._dealt_of(pass_name, batch, {k: parts[batch] for k, parts in turn.arrived.items()}):
            with nullcontext() if way.body_trains else frozen(one.blocks.values()):
                outputs |= one.forward(stage.blocks, entering, leaving)
        self._keep_maps(pass_name)
        self._hold(crossing, stage.blocks, self._rows(pass_name)[batch], started, carried)
        out: list[Activations] = []
        turn.outputs.append(outputs)
        if len(turn.outputs) == len(way.batches):
            del self._turns[str(crossing), stage_index]
            packed = self._pack(stage.leaving, turn.outputs, crossing)
            out = self._leaving(stage.leaving, [Activations(step, arrays) for arrays in packed], crossing)
        if stage_index == self._last[way.network] and self._section + 1 < self._layout.sections:
            on = [one.inside for one in self._passes[pass_name][batch].values()]
            out.append(Activations(step, self._handed_on(on)))
        return out

    def backward_part(
        self,
        step: StepId,
        pass_name: str,
        stage_index: int,
        batch: int,
        carried: Gradients | Lost | None,
        messages: Mapping[int, Gradients | Lost],
    ) -> list[Gradients]:
        """One stage of a backward pass, of one of its merged batches: the mirror image of `forward_part`, from the last
        section to the first; a section's update after its last stage and batch."""
        started, crossing = time.perf_counter(), Crossing(pass_name, "backward")
        way = crossing.way
        stage = self._stages[way.network][stage_index]
        self._check(pass_name, carried)
        if carried is not None:
            for one, gradients in self._carried(pass_name, batch, carried):
                one.go_back(gradients)
        turn = self._turn(step, crossing, stage_index, batch, stage.leaving, messages)
        rows = self._rows(pass_name)[batch]
        outputs: dict[int, Tensor] = {}
        for one, gradients in self._dealt_of(pass_name, batch, {k: parts[batch] for k, parts in turn.arrived.items()}):
            outputs |= one.backward(gradients)
        turn.outputs.append(outputs)
        ended, is_first = len(turn.outputs) == len(way.batches), stage_index == self._first[way.network]
        if ended and is_first and way.body_trains:
            self._update(way.network)
        self._hold(crossing, stage.blocks, rows, started, carried)
        out: list[Gradients] = []
        if ended:
            del self._turns[str(crossing), stage_index]
            packed = self._pack(stage.entering, turn.outputs, crossing)
            out = self._leaving(stage.entering, [Gradients(step, arrays) for arrays in packed], crossing)
        if is_first and self._section > 0:
            back = [one.carried_back for one in self._passes[pass_name][batch].values()]
            out.append(Gradients(step, self._handed_on(back)))
        return out

    def assign(self, round_number: int, num_samples: Mapping[int, int]) -> Assignment | Lost:
        """As the whole body, of the section that holds the anchor; of the others, what they have to tell."""
        if ("discriminator", self._layout.anchors["discriminator"]) in self._held:
            return super().assign(round_number, num_samples)
        return Assignment({}, {}, {}, {}, tuple(self._faults))

    def joined(self, states: Sequence[State | Lost]) -> State | Lost:
        """What all sections hold, as one; `Lost` where one is."""
        for state in states:
            if isinstance(state, Lost):
                return state
            self._traffic.add("body", "body", "State", num_bytes(state))
        found = {key: block for state in states if isinstance(state, State) for key, block in state.blocks.items()}
        return State(0, {key: found[key] for key in self._layout.body_held})

    def _check(self, pass_name: str, carried: Activations | Gradients | Lost | None) -> None:
        """Refuses a pass that has lost its way.

        Raises:
            PeerLostError: what was to be carried on is lost, or was so earlier in the pass.
        """
        if isinstance(carried, Lost):
            self._passes.pop(pass_name, None)
        if pass_name not in self._passes:
            raise PeerLostError(GONE)

    def _turn(
        self,
        step: StepId,
        crossing: Crossing,
        stage_index: int,
        batch: int,
        workers: Sequence[int],
        messages: Mapping[int, Activations | Lost] | Mapping[int, Gradients | Lost],
    ) -> _Turn:
        key = str(crossing), stage_index
        if batch == 0:
            self._turns[key] = _Turn(self._arrived(step, workers, messages, crossing))
        return self._turns[key]

    def _carried(
        self, pass_name: str, batch: int, record: Activations | Gradients | Lost
    ) -> list[tuple[MergedPass, dict[int, Tensor]]]:
        """Of each trunk: its pass, and client -> what was carried on, in the order of the rows."""
        assert not isinstance(record, Lost)
        self._traffic.add("body", "body", type(record).__name__, num_bytes(record))
        return self._dealt_of(pass_name, batch, {client: part for client, (part,) in record.arrays.items()})

    def _handed_on(self, of_trunks: Sequence[Mapping[int, Tensor]]) -> dict[int, tuple[WirePart, ...]]:
        """Client -> its rows, in their order, as they are: no codec makes them coarser."""
        tensors = {client: rows for inside in of_trunks for client, rows in inside.items()}
        parts = encode(list(tensors.values()), "float32", self._config.ray.transport == "direct")
        return {client: (part,) for client, part in zip(tensors, parts, strict=True)}

    def _hold(
        self,
        crossing: Crossing,
        blocks: range,
        rows: int,
        started: float,
        carried: Activations | Gradients | Lost | None,
    ) -> None:
        record = {} if carried is None or isinstance(carried, Lost) else carried.arrays
        received = sum(shape_of(part)[0] for (part,) in record.values())
        self._pacer.hold_body(crossing.way.network, crossing.direction, blocks, [rows], started, received)
        self._count(crossing, started)


def in_a_row(reports: Sequence[BodyReport]) -> BodyReport:
    """One for all sections of a body: seconds of work add up, and of a gradient each has a part."""
    first, *_ = reports
    names = dict.fromkeys(name for report in reports for name in report.seconds)
    seconds = {name: sum(report.seconds.get(name, 0.0) for report in reports) for name in names}
    absent = tuple(sorted({worker for report in reports for worker in report.absent}))
    norms: dict[str, list[Tensor]] = {}
    for name, mean in ((name, mean) for report in reports for name, mean in report.statistics.items()):
        norms.setdefault(name, []).append(torch.tensor(mean.value))
    statistics = {name: Mean(float(joint_norm(parts)), 1) for name, parts in norms.items()}
    step_s = max(report.step_seconds for report in reports)
    return replace(first, seconds=seconds, absent=absent, step_seconds=step_s, statistics=statistics)


def choose_borders(
    flops: Mapping[NetworkName, Mapping[int, float]], sections: int
) -> dict[NetworkName, tuple[int, ...]]:
    """Where each network's body is parted, so that the largest section has the least to compute.

    Args:
        flops: network -> block of the body -> what a minibatch costs in it, forward and back.

    Raises:
        ConfigError: a network's body has fewer blocks than there are to be sections.
    """
    if sections == 1:
        return {}
    for network, blocks in flops.items():
        if len(blocks) < sections:
            found = f"{sections}, but the body has {len(blocks)} blocks of the {network}"
            raise ConfigError("ray.body_pipeline", found, f"give at most {len(blocks)}")
    return {network: _parted(blocks, sections) for network, blocks in flops.items()}


def _parted(flops: Mapping[int, float], sections: int) -> tuple[int, ...]:
    """The first blocks of all sections but the first."""
    blocks = sorted(flops)

    def largest(borders: tuple[int, ...]) -> float:
        bounds = (blocks[0], *borders, blocks[-1] + 1)
        return max(sum(flops[block] for block in range(*span)) for span in itertools.pairwise(bounds))

    return min(itertools.combinations(blocks[1:], sections - 1), key=largest)
