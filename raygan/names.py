"""Words that every layer shares: the two networks, their blocks, and where they are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np  # `raygan --help` does without

T = TypeVar("T")
NetworkName = Literal["generator", "discriminator"]
NETWORKS: tuple[NetworkName, NetworkName] = ("generator", "discriminator")

BlockOwner = NetworkName | Literal["average", "sealed"]
BlockKey = tuple[BlockOwner, int]
"""A block of one of the networks, the moving average of a block of G (`raygan/nn/average.py`), or a block of D that
clients alone can read (`privacy.hide_discriminator`), by its index from 0."""
BlockState: TypeAlias = "Mapping[str, np.ndarray]"
"""Parameters and buffers of one block by their name inside the block."""
WEIGHTS = "weights"
"""Under this name the state of a block's average has the block's own parameters and buffers."""
Weights = Literal["average", "last"]
"""Which weights of G: those of the last update, or their moving average where there is one."""
Shape = tuple[int, ...]
"""Of a tensor, without the batch axis where it says so."""
BlockForm = tuple[tuple[str, str, Shape], ...]
"""Name, type and shape of each of a block's arrays, in order."""

Cut = tuple[int, int]
"""(h, t): extra blocks that a client keeps at the front and at the back of one network."""
Cuts = tuple[Cut, Cut]
"""The cuts of one client: (generator's, discriminator's)."""

Direction = Literal["forward", "backward"]
End = Literal["head", "tail"]
Codec = Literal["float32", "bfloat16", "float16", "int8"]
Objective = Literal["latency", "bytes", "weighted"]
"""Number format of activations and gradients on the wire."""


class Compute(Protocol):
    """Makes calls that need nothing of each other."""

    def __call__(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """What they return, in order."""


def in_turn(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Makes one call after the other."""
    return [call() for call in calls]


def with_averages(keys: Iterable[BlockKey], averaged: bool) -> tuple[BlockKey, ...]:
    """The keys; if G is averaged, those of the averages of its blocks among them as well."""
    own = tuple(keys)
    return (*own, *(("average", index) for network, index in own if network == "generator")) if averaged else own


def with_sealed(keys: Iterable[BlockKey], hidden: bool) -> tuple[BlockKey, ...]:
    """The keys of what clients hold; if D is hidden, its blocks as sealed ones."""
    return tuple(("sealed", key[1]) if hidden and key[0] == "discriminator" else key for key in keys)


def weights_in(state: BlockState) -> BlockState:
    """The averaged parameters and buffers, by their names in the block, in the state of a block's average."""
    prefix = f"{WEIGHTS}."
    return {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
