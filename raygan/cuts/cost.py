"""What the planner is told: the cost of a network, the speed of a device and of the server.

All numbers are for one minibatch of one client and one pass. They may come from a real network (measured
elsewhere with a FLOP counter) or from anywhere else: nothing here knows about torch.

`output_bytes` is what crosses the link, so it is the size *under the wire codec*: a codec that halves the
bytes of an activation halves the entry, and a codec with a fixed cost adds it. The gradient that comes back over a
cut is of the shape of the activation that went out, and where nothing else is said, of its size.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from raygan.config.devices import DeviceProfile
from raygan.errors import CutError

MIN_BLOCKS = 3  # one at the front, one in the body, one at the back
TRAINED_COPIES = 4  # weights, gradients and Adam's two moments


def number(where: str, value: Any, least: str = "> 0") -> float:
    """`value` as a finite float above zero (where `least` is ">= 0", at least zero), or a CutError at `where`."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise CutError(where, f"{value!r} is not a number", f"give a number {least}")
    found = float(value)
    if not math.isfinite(found) or found < 0 or (found == 0 and least == "> 0"):
        raise CutError(where, f"{found:g}", f"give a finite number {least}")
    return found


def _make_positive(record: Any, owner: str, *names: str) -> None:
    for name in names:
        object.__setattr__(record, name, number(f"{name} of {owner}", getattr(record, name)))


def _numbers(where: str, values: Any) -> tuple[float, ...]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise CutError(where, f"{values!r} is not a list", "give one number a block")
    return tuple(number(f"{where}[{block}]", value, ">= 0") for block, value in enumerate(values))


@dataclass(frozen=True)
class NetworkCost:
    """Cost of one network, one entry a block, for one minibatch of one client. B >= 3 entries.

    Raises:
        CutError: an entry is negative, not finite or not a number, or the lists differ in length; it names the field
            (`forward_flops[2]`).
    """

    forward_flops: Sequence[float]
    """F_b: floating-point operations of block b forward."""
    backward_flops: Sequence[float]
    """W_b: floating-point operations of block b backward."""
    output_bytes: Sequence[float]
    """A_b: bytes of block b's output on its way to the body (module docstring)."""
    parameter_bytes: Sequence[float] | None = None
    """Bytes of block b's parameters. None: unknown, so no memory limit can be checked."""
    activation_bytes: Sequence[float] | None = None
    """Bytes that block b keeps for the backward pass, all passes that are alive at once. None: unknown."""
    norm_layers: Sequence[float] | None = None
    """BatchNorm layers of block b, whose statistics replicas of the body exchange. None: it has none."""
    norm_channels: Sequence[float] | None = None
    """Channels of all of them together."""
    averaged: bool = False
    """Whether a moving average of its weights is kept."""
    output_bytes_down: Sequence[float] | None = None
    """Of block b's output on the way from the body; None: as many."""
    gradient_bytes_up: Sequence[float] | None = None
    """Of the gradient of its output on the way to the body; None: as many."""
    gradient_bytes_down: Sequence[float] | None = None
    """Of that gradient on the way from the body; None: as many."""
    carried_bytes: Sequence[float] | None = None
    """Of block b's output, and of its gradient, between sections of the body, where no codec is; None: `output_bytes`."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and field.name != "averaged":
                object.__setattr__(self, field.name, _numbers(field.name, value))
                self._check_length(field.name)

    def _check_length(self, name: str) -> None:
        found, needed = len(getattr(self, name)), len(self.forward_flops)
        if found < MIN_BLOCKS:
            raise CutError(name, f"{found} blocks", f"give at least {MIN_BLOCKS}: head, body and tail")
        if found != needed:
            raise CutError(name, f"{found} entries, but forward_flops has {needed}", "give one entry a block")

    @property
    def num_blocks(self) -> int:
        """B."""
        return len(self.forward_flops)

    def bytes_down(self) -> Sequence[float]:
        """Of each block's output, from the body."""
        return self.output_bytes if self.output_bytes_down is None else self.output_bytes_down

    def bytes_back_up(self) -> Sequence[float]:
        """Of each block's output's gradient, to the body."""
        return self.output_bytes if self.gradient_bytes_up is None else self.gradient_bytes_up

    def bytes_back_down(self) -> Sequence[float]:
        """Of each block's output's gradient, from the body."""
        return self.output_bytes if self.gradient_bytes_down is None else self.gradient_bytes_down

    def bytes_carried(self) -> Sequence[float]:
        """Of each block's output, between sections of the body."""
        return self.output_bytes if self.carried_bytes is None else self.carried_bytes

    @property
    def memory_bytes(self) -> tuple[float, ...] | None:
        """Bytes that training block b takes: weights, gradients, Adam's two moments, activations, average; or None."""
        if self.parameter_bytes is None or self.activation_bytes is None:
            return None
        pairs = zip(self.parameter_bytes, self.activation_bytes, strict=True)
        copies = TRAINED_COPIES + self.averaged
        return tuple(copies * parameters + activations for parameters, activations in pairs)


BlockSets = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class Device:
    """One client's device. A number that is not finite and above zero is a CutError that names the field."""

    name: str
    flops_per_s: float
    """c_i: sustained floating-point operations a second."""
    bytes_per_s: float
    """r_i: up-link, bytes a second."""
    memory_bytes: float | None = None
    """Memory for its blocks of both networks, bytes; None: no limit."""
    local_blocks: BlockSets = ((), ())
    """Blocks that must stay on the device: (generator's, discriminator's)."""
    server_blocks: BlockSets = ((), ())
    """Blocks that must not: (generator's, discriminator's)."""

    def __post_init__(self) -> None:
        owner = f"device {self.name!r}"
        limits = () if self.memory_bytes is None else ("memory_bytes",)
        _make_positive(self, owner, "flops_per_s", "bytes_per_s", *limits)
        for name in ("local_blocks", "server_blocks"):
            object.__setattr__(self, name, _block_sets(f"{name} of {owner}", getattr(self, name)))

    @classmethod
    def from_profile(cls, name: str, profile: DeviceProfile) -> Device:
        """The device that a profile of the catalogue, or of the user's configuration, describes."""
        return cls(name, profile.flops_per_s, profile.bytes_per_s, profile.memory_bytes)


def _block_sets(where: str, pair: Any) -> BlockSets:
    try:
        generator, discriminator = (tuple(sorted({int(block) for block in blocks})) for blocks in pair)
    except (TypeError, ValueError):
        remedy = "give a pair of lists of block numbers: (generator's, discriminator's)"
        raise CutError(where, f"{pair!r}", remedy) from None
    return generator, discriminator


@dataclass(frozen=True)
class Server:
    """The machine of the shared body; numbers as a device's."""

    flops_per_s: float
    """c_s: sustained floating-point operations a second."""
    bytes_per_s: float
    """r_s: down-link, bytes a second."""
    replicas: int = 1
    """R: machines that are the body together, each with these numbers."""
    exchange_s: float = 0.0
    """What an exchange between them takes beside its bytes, seconds."""

    def __post_init__(self) -> None:
        _make_positive(self, "the server", "flops_per_s", "bytes_per_s", "replicas")
        object.__setattr__(self, "exchange_s", number("exchange_s of the server", self.exchange_s, ">= 0"))
