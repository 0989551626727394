"""How the clients of one worker are computed: each on its own, or all of them in step.

A client's part is a `Computation`, a generator: it yields what it wants computed, a `Run` or a `Backward`, and goes on
with the result. So it says what one client does, whether that is computed alone or together with what others yield at
the same time; which of the two an executor decides, and nobody else knows.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from raygan.names import BlockKey, Compute, NetworkName
from raygan.nn.backward import run_backward
from raygan.nn.network import block_inputs, run_blocks
from raygan.nn.vmapped import Tensors, VmappedBlock


class NonFiniteError(ArithmeticError):
    """A loss, an activation or a gradient is NaN or infinite: the client's part of the step is dropped."""


@dataclass(frozen=True)
class Run:
    """Some blocks of a network forward; the result is the last one's output."""

    network: NetworkName
    blocks: Mapping[int, nn.Module]
    x: Tensor
    labels: Tensor | None = None
    """For the blocks that take them."""


@dataclass(frozen=True)
class Backward:
    """A backward pass; no result.

    Args:
        gradients: one for each output; None: the output is a scalar to be differentiated itself.
    """

    outputs: Sequence[Tensor]
    gradients: Sequence[Tensor | None]


Result = TypeVar("Result")
Computation = Generator[Run | Backward, Any, Result]
"""It is sent a tensor for a `Run` and nothing for a `Backward`."""


class Executor(Protocol):
    """Runs the clients' computations."""

    def __call__(
        self, computations: Mapping[int, Computation[Result]], compute: Compute
    ) -> dict[int, Result | NonFiniteError]:
        """Client -> what its computation returned, or why it is dropped.

        Args:
            compute: how to compute what is one client's.
        """


def one_by_one(computations: Mapping[int, Computation[Result]], compute: Compute) -> dict[int, Result | NonFiniteError]:
    """The executor that runs each on its own."""
    done = compute([partial(_outcome, computation) for computation in computations.values()])
    return dict(zip(computations, done, strict=True))


def _outcome(computation: Computation[Result]) -> Result | NonFiniteError:
    try:
        return _alone(computation)
    except NonFiniteError as error:
        return error


def _alone(computation: Computation[Result]) -> Result:
    result = None
    while True:
        try:
            wanted = computation.send(result)
        except StopIteration as end:
            returned: Result = end.value
            return returned
        if isinstance(wanted, Run):
            result = run_blocks(wanted.blocks.values(), wanted.x, wanted.labels)
        else:
            run_backward(wanted.outputs, wanted.gradients)
            result = None


class InStep:
    """The executor of several clients that share their cuts, with some blocks of all clients computed at once.

    Args:
        blocks: client -> the blocks that it holds.
        at_once: the blocks that are computed at once; the others are computed client by client.
    """

    def __init__(self, blocks: Mapping[int, Mapping[BlockKey, nn.Module]], at_once: Collection[BlockKey]) -> None:
        self._position = {client: position for position, client in enumerate(blocks)}
        self._vmapped = {key: VmappedBlock([held[key] for held in blocks.values()]) for key in at_once}

    def __call__(
        self, computations: Mapping[int, Computation[Result]], compute: Compute
    ) -> dict[int, Result | NonFiniteError]:
        """As `one_by_one`, all of it here."""
        done: dict[int, Result | NonFiniteError] = {}
        going = dict(computations)
        results: dict[int, Tensor] = {}
        while going:
            runs: dict[int, Run] = {}
            backward: list[Backward] = []
            for client, computation in list(going.items()):
                try:
                    wanted = computation.send(results.get(client))
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
        return {client: done[client] for client in computations}

    def _run(self, runs: Mapping[int, Run]) -> dict[int, Tensor]:
        """All of them ask for the same blocks, since their cuts are the same."""
        if not runs:
            return {}
        first = next(iter(runs.values()))
        outputs = {client: run.x for client, run in runs.items()}
        for index in first.blocks:
            inputs = {
                client: block_inputs(run.blocks[index], outputs[client], run.labels) for client, run in runs.items()
            }
            vmapped = self._vmapped.get((first.network, index))
            if vmapped is None:
                outputs = {client: runs[client].blocks[index](*x) for client, x in inputs.items()}
            else:
                outputs = self._at_once(vmapped, inputs)
        return outputs

    def _at_once(self, block: VmappedBlock, inputs: Mapping[int, Tensors]) -> dict[int, Tensor]:
        outputs: dict[int, Tensor] = {}
        for clients in _of_one_shape(inputs):
            positions = [self._position[client] for client in clients]
            outputs |= zip(clients, block(positions, [inputs[client] for client in clients]), strict=True)
        return outputs


def _of_one_shape(values: Mapping[int, Tensors]) -> list[list[int]]:
    """Clients in groups whose inputs have one shape: a last minibatch may be smaller than the others'."""
    groups: dict[tuple[torch.Size, ...], list[int]] = {}
    for client, inputs in values.items():
        groups.setdefault(tuple(x.shape for x in inputs), []).append(client)
    return list(groups.values())


def _backward(wanted: Sequence[Backward]) -> None:
    """One pass over all of them: clients that were computed at once share a graph."""
    if wanted:
        outputs = [x for one in wanted for x in one.outputs]
        run_backward(outputs, [x for one in wanted for x in one.gradients])
