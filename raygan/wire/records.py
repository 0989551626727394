"""The records that cross actor boundaries; `raygan.wire.contract` refuses everything else.

| record | from -> to | holds |
|---|---|---|
| `Activations` | client <-> body | float activations at the cuts, by client |
| `Gradients` | client <-> body | float gradients at the cuts, by client |
| `State` | client, body -> aggregator | parameters and buffers by block, sample count |
| `AnchorMap` | client -> aggregator | batch mean of the anchor activation on a client's own discriminator |
| `BlockAverage` | aggregator -> client, body, evaluator | one averaged block |
| `SealedAverage` | aggregator -> client | one block of D, which clients alone can read |
| `Fakes` | server -> client | generated images and their labels, which are nobody's |
| `Feedback` | client -> server | gradients of a loss with respect to fakes |
| `Logits` | client <-> server | a discriminator's logits on fakes, or gradients with respect to them |
| the small ones | anybody -> driver | losses, timings, counts, clusters, scores: no arrays |

Those of a secure sum are in `raygan.wire.secure`.

No client's image, label or z is in any of them. Arrays are numpy: Ray writes them to the object store
without a copy in between, and an aggregator needs no torch. Under a wire codec other than float32, activations
and gradients are `Encoded`, which is the only form in which integers cross.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal, TypeVar

import numpy as np

from raygan.names import BlockForm, BlockKey, BlockState, Codec, Direction
from raygan.wire.statistics import Statistics


@dataclass(frozen=True)
class CodecForm:
    """What a codec puts on the wire for each tensor."""

    payload: type[np.generic]
    """Type of the payload's entries. numpy has no bfloat16: its bits travel as uint16."""
    scale_bytes: int = 0
    """Bytes of the scale that goes with a payload."""


CODECS: Mapping[Codec, CodecForm] = {
    "float32": CodecForm(np.float32),
    "bfloat16": CodecForm(np.uint16),
    "float16": CodecForm(np.float16, 8),
    "int8": CodecForm(np.int8, 8),
}


T = TypeVar("T")
Array = Any
"""A numpy array; under Ray Direct Transport a torch tensor, whose types have the same names."""


@dataclass(frozen=True)
class Encoded:
    """A float tensor under a wire codec other than float32: its entries are `payload * scale`."""

    codec: Codec
    payload: Array
    """Of the tensor's shape (B_k, ...) and the codec's type."""
    scale: float = 1.0
    """Of the whole tensor. Not finite: an entry of the tensor was not."""


WirePart = Array | Encoded
"""One tensor on the wire."""


@dataclass(frozen=True)
class StepId:
    """Which step of which round (both from 0)."""

    round: int
    step: int


@dataclass(frozen=True)
class Activations:
    """Activations at a cut. A client that sits out is not in `arrays`."""

    step: StepId
    arrays: Mapping[int, tuple[WirePart, ...]]
    """Client -> one float tensor (B_k, ...) for each of the passes that travel together."""


@dataclass(frozen=True)
class Gradients:
    """Gradients of the loss with respect to activations at a cut, in the form of `Activations`."""

    step: StepId
    arrays: Mapping[int, tuple[WirePart, ...]]


MESSAGES: Mapping[Direction, type[Activations] | type[Gradients]] = {
    "forward": Activations,
    "backward": Gradients,
}
"""What goes into a pass through the body, and comes out of it."""


@dataclass(frozen=True)
class State:
    """What a client, or the body, holds of both networks."""

    num_samples: int
    """Training images of the client; 0 for the body."""
    blocks: Mapping[BlockKey, BlockState]


@dataclass(frozen=True)
class BlockAverage:
    """One block's average over the members of a cluster."""

    block: BlockKey
    state: BlockState


TOTAL = "total"
"""The one array of a sealed average: (N,) uint64."""


@dataclass(frozen=True)
class SealedAverage(BlockAverage):
    """A block of D, summed over its holders, which only clients can read."""

    session: str
    holders: tuple[int, ...]
    """Whose pads are in the sum; empty: they were too few for one, and keep their own."""
    weight: float
    """Of all of them."""
    form: BlockForm


@dataclass(frozen=True)
class AnchorMap:
    """A client's anchor activation on its real images, averaged over the last minibatches of a round."""

    client: int
    map: Array
    """(C, ...) float, without a batch axis."""


@dataclass(frozen=True)
class Fakes:
    """Images that a server's generator made. B images of a batch."""

    step: StepId
    images: Mapping[int, tuple[Array, ...]]
    """Client -> one or two batches (B, C, S, S) float: what its D is trained on, and what it judges for G; one is
    both."""
    labels: Mapping[int, tuple[Array, ...]]
    """Client -> their labels (B,), integers that the server drew."""


@dataclass(frozen=True)
class Feedback:
    """What clients tell G of its fakes. A client that sits out is not in `gradients`."""

    step: StepId
    gradients: Mapping[int, Array]
    """Client -> gradient of the loss with respect to the fakes that it judged, of their shape."""


@dataclass(frozen=True)
class Logits:
    """Logits of fakes, one way; gradients with respect to them, the other."""

    step: StepId
    values: Mapping[int, Array]
    """Client -> (B,) float."""


@dataclass(frozen=True)
class StepReport:
    """What the clients of one actor tell of a step."""

    step: StepId
    discriminator_loss: Mapping[int, float]
    generator_loss: Mapping[int, float]
    num_images: int
    """Real images used in the step."""
    seconds: Mapping[str, float]
    """Seconds of work by phase."""
    bytes_sent: int
    """Bytes of activations and gradients that the clients sent."""
    bytes_received: int
    faults: tuple[str, ...] = ()
    worker: int = 0
    """Number of the actor."""
    statistics: Statistics = field(default_factory=dict)
    """Means over its clients, under names that the algorithm chooses."""


@dataclass(frozen=True)
class BodyReport:
    """What the body tells of a step."""

    step: StepId
    seconds: Mapping[str, float]
    """Seconds of work by pass and direction; waiting for clients is not in them."""
    absent: tuple[int, ...]
    """Workers that were late or lost in some pass of the step."""
    step_seconds: float = 0.0
    """Seconds from the end of the step before, or the round's begin, to its own end: waiting is in them."""
    statistics: Statistics = field(default_factory=dict)
    """As a `StepReport`'s, of the body's own networks."""


@dataclass(frozen=True)
class Assignment:
    """The outcome of clustering and weighting."""

    cluster: Mapping[int, int]
    """Client -> cluster."""
    kld: Mapping[int, float]
    """Client -> KLD_k against its cluster, nats."""
    weight: Mapping[int, float]
    """Client -> w_k within its cluster."""
    body_weight: Mapping[int, float]
    """Client -> weight over all clients, for the body's average."""
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassCounts:
    """How many images of each class a client holds, for algorithms that tell the server so much."""

    client: int
    counts: Mapping[int, int]
    """Class -> images."""


@dataclass(frozen=True)
class Inventory:
    """What a client tells about itself before the first round."""

    client: int
    num_images: int
    batches_per_epoch: int


@dataclass(frozen=True)
class Spending:
    """What a client has spent of its privacy budget."""

    client: int
    updates: int
    """Noised updates that have been made."""
    epsilon: float
    """Of them, at the configured delta."""
    allowed: int
    """Updates that the budget allows."""
    sample_rate: float
    """Chance of an image to be in an update."""

    @property
    def is_spent(self) -> bool:
        """Whether one more would be beyond it."""
        return self.updates >= self.allowed


Why = Literal["dead", "hung", "late", "unfit", "not_finite"]
"""Why a message is missing. Its sender is dead; was ended since it hung; is late, or sits out; is there, but cannot do
its work; has numbers that are not finite."""


@dataclass(frozen=True)
class Lost:
    """What stands where a message should."""

    reason: str
    """In words, for people."""
    why: Why = "dead"


@dataclass(frozen=True)
class CheckIn:
    """Who of a worker can be averaged at a round's end."""

    num_images: Mapping[int, int]
    """Client -> training images, of the clients that can be averaged."""
    lost: Mapping[int, Lost] = field(default_factory=dict)
    """Client -> what is wrong with it, of the others."""


@dataclass(frozen=True)
class Link:
    """A way that records of one kind take."""

    source: str
    target: str
    """Roles: `client`, `body`, `server`, `aggregator`, `evaluator`, `site`."""
    kind: str
    """The record's type; with ` (refused)` behind it, what did not cross."""
    client: int | None = None
    """Whose activations or gradients; None: anybody's."""


@dataclass(frozen=True)
class Count:
    """What went over a link."""

    link: Link
    records: int
    num_bytes: int
    """Of the arrays in the records."""


@dataclass(frozen=True)
class Traffic:
    """What an actor counted in a round."""

    counts: tuple[Count, ...]


@dataclass(frozen=True)
class Written:
    """A file that an actor wrote."""

    name: str
    num_bytes: int
    sha256: str
    clients: tuple[int, ...] = ()
    """Those whose states it holds."""


@dataclass(frozen=True)
class DomainScores:
    """Scores of one cluster's generator in one domain."""

    domain_index: int
    cluster: int | None
    """None: the domain's real images, the mark for generated ones."""
    num_images: int
    """Images behind all of them but those that say their own."""
    values: Mapping[str, float | Mapping[str, float] | None]
    """By the scores' names (`raygan/scores.py`)."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a round."""

    round: int
    scores: tuple[DomainScores, ...]
    samples: tuple[str, ...]
    """Names of the picture files."""
    seconds: float
    real: tuple[DomainScores, ...] = ()
    """What each domain's real images score."""
    faults: tuple[str, ...] = ()
    """What could not be scored, and why."""
    traffic: Traffic | None = None
    """What the evaluator was sent for it."""


@dataclass(frozen=True)
class Usage:
    """What an actor has used since it began."""

    wait_s: float
    """Waiting for messages and reading them."""
    work_s: float
    send_s: float
    """Checking results and handing them to Ray."""
    cpu_s: float
    """CPU seconds of its process."""
    memory_bytes: int
    """Memory that would be free if the process ended: the object store and shared libraries are not in it."""
    exchange_s: float = 0.0
    """Of a body's replica, exchanging numbers with the others, which is mostly waiting for them; part of `wait_s`."""
    exchanged_bytes: int = 0
    """Of a body's replica, what it has sent to the others."""


PLAIN = (int, float, str, type(None))
"""What holds nothing further."""


def arrays_of(record: Any) -> Iterator[Array]:
    """Every array or tensor inside a record, however deep."""
    if isinstance(record, PLAIN):
        return
    if type_name(record) is not None:
        yield record
    elif isinstance(record, Mapping):
        for value in record.values():
            yield from arrays_of(value)
    elif isinstance(record, (tuple, list)):
        for value in record:
            yield from arrays_of(value)
    elif is_dataclass(record):
        for part in fields(record):
            yield from arrays_of(getattr(record, part.name))


def num_bytes(record: Any) -> int:
    """Bytes of the arrays inside a record, and of the scales of encoded ones."""
    if isinstance(record, np.ndarray):
        return record.nbytes
    if isinstance(record, Encoded):
        return int(record.payload.nbytes) + CODECS[record.codec].scale_bytes
    if isinstance(record, Mapping):
        return sum(num_bytes(value) for value in record.values())
    if isinstance(record, (tuple, list)):
        return sum(num_bytes(value) for value in record)
    if isinstance(record, (Activations, Gradients)):
        return num_bytes(record.arrays)
    return sum(int(array.nbytes) for array in arrays_of(record))


def shape_of(part: WirePart) -> tuple[int, ...]:
    """Of a tensor as it crosses, its batch axis first."""
    return tuple((part.payload if isinstance(part, Encoded) else part).shape)


def wire_bytes(num_elements: float, codec: Codec) -> float:
    """Bytes of a tensor of so many elements on the wire."""
    form = CODECS[codec]
    return num_elements * np.dtype(form.payload).itemsize + form.scale_bytes


def type_name(payload: Any) -> str | None:
    """Name of the type of an array's or a torch tensor's entries; None for anything else."""
    if isinstance(payload, np.ndarray):
        return _dtype_name(payload.dtype)
    if type(payload).__module__ == "torch" and type(payload).__name__ == "Tensor":
        return str(payload.dtype).removeprefix("torch.")
    return None


@cache
def _dtype_name(dtype: np.dtype[Any]) -> str:
    """Kept, since numpy puts the name together each time that it is asked for."""
    return str(dtype.name)
