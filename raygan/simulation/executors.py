"""Clients' turns, each client's on its own or those of all clients of an actor in step.

A turn is a generator: it yields what it wants computed, a `Run` or a `Backward`, and goes on with the result. So it
says what one client does, whether that is computed alone or together with what others yield at the same time.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from raygan.nn.network import run_blocks
from raygan.nn.vmapped import Tensors, VmappedBlock
from raygan.split.ends import NetworkEnds
from raygan.wire.records import BlockKey, NetworkName


class NonFiniteError(ArithmeticError):
    """A loss, an activation or a gradient is NaN or infinite: the client's part of the step is dropped."""


@dataclass(frozen=True)
class Run:
    """Some blocks of a network forward; the result is the last one's output."""

    network: NetworkName
    blocks: Mapping[int, nn.Module]
    inputs: Tensors


@dataclass(frozen=True)
class Backward:
    """A backward pass; no result.

    Args:
        gradients: one for each output; None: the output is a scalar to be differentiated itself.
    """

    outputs: Sequence[Tensor]
    gradients: Sequence[Tensor | None]


Result = TypeVar("Result")
Turn = Generator[Run | Backward, Any, Result]
"""It is sent a tensor for a `Run` and nothing for a `Backward`."""


def one_by_one(turns: Mapping[int, Turn[Result]]) -> dict[int, Result | NonFiniteError]:
    """Client -> what its turn returned, or why it is dropped."""
    done: dict[int, Result | NonFiniteError] = {}
    for client, turn in turns.items():
        try:
            done[client] = _alone(turn)
        except NonFiniteError as error:
            done[client] = error
    return done


def _alone(turn: Turn[Result]) -> Result:
    result = None
    while True:
        try:
            wanted = turn.send(result)
        except StopIteration as end:
            return end.value
        if isinstance(wanted, Run):
            result = run_blocks(wanted.blocks.values(), *wanted.inputs)
        else:
            torch.autograd.backward(wanted.outputs, wanted.gradients)
            result = None


class InStep:
    """The turns of several clients that share their cuts, with some blocks of all clients computed at once.

    Args:
        ends: client -> its heads and tails.
        vmapped: the blocks that are computed at once; the others are computed client by client.
    """

    def __init__(
        self, ends: Mapping[int, Mapping[NetworkName, NetworkEnds]], vmapped: Collection[BlockKey]
    ) -> None:
        self._position = {client: position for position, client in enumerate(ends)}
        self._vmapped = {
            (network, index): VmappedBlock([networks[network].blocks[index] for networks in ends.values()])
            for network, index in vmapped
        }

    def __call__(self, turns: Mapping[int, Turn[Result]]) -> dict[int, Result | NonFiniteError]:
        """As `one_by_one`."""
        done: dict[int, Result | NonFiniteError] = {}
        going = dict(turns)
        results: dict[int, Tensor] = {}
        while going:
            runs: dict[int, Run] = {}
            backward: list[Backward] = []
            for client, turn in list(going.items()):
                try:
                    wanted = turn.send(results.get(client))
                except StopIteration as end:
                    done[client] = end.value
                except NonFiniteError as error:
                    done[client] = error
                else:
                    if isinstance(wanted, Run):
                        runs[client] = wanted
                    else:
                        backward.append(wanted)
                    continue
                del going[client]
            results = self._run(runs)
            _backward(backward)
        return {client: done[client] for client in turns}

    def _run(self, runs: Mapping[int, Run]) -> dict[int, Tensor]:
        """All of them ask for the same blocks, since their cuts are the same."""
        if not runs:
            return {}
        first = next(iter(runs.values()))
        inputs = {client: run.inputs for client, run in runs.items()}
        outputs: dict[int, Tensor] = {}
        for index in first.blocks:
            vmapped = self._vmapped.get((first.network, index))
            if vmapped is None:
                outputs = {client: runs[client].blocks[index](*x) for client, x in inputs.items()}
            else:
                outputs = self._at_once(vmapped, inputs)
            inputs = {client: (x,) for client, x in outputs.items()}
        return outputs

    def _at_once(self, block: VmappedBlock, inputs: Mapping[int, Tensors]) -> dict[int, Tensor]:
        outputs: dict[int, Tensor] = {}
        for clients in _of_one_shape(inputs):
            positions = [self._position[client] for client in clients]
            outputs |= zip(clients, block(positions, [inputs[client] for client in clients]), strict=True)
        return outputs


def _of_one_shape(values: Mapping[int, Tensors]) -> list[list[int]]:
    """Clients in groups whose inputs have one shape: a last minibatch may be smaller than the others'."""
    groups: dict[tuple, list[int]] = {}
    for client, inputs in values.items():
        groups.setdefault(tuple(x.shape for x in inputs), []).append(client)
    return list(groups.values())


def _backward(wanted: Sequence[Backward]) -> None:
    """One pass over all of them: clients that were computed at once share a graph."""
    if wanted:
        outputs = [x for one in wanted for x in one.outputs]
        torch.autograd.backward(outputs, [x for one in wanted for x in one.gradients])
