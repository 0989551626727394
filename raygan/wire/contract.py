"""The wire contract: what crosses actor boundaries at all, and in which form; the rest is refused by its sender.

What one sender may put on the wire is its own affair: `Worker.sends`, and for split networks `raygan.split.contract`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from raygan.errors import WireError
from raygan.wire.records import (
    CODECS,
    Activations,
    AnchorMap,
    Assignment,
    BlockAverage,
    BodyReport,
    CheckIn,
    ClassCounts,
    Encoded,
    Evaluation,
    Fakes,
    Feedback,
    Gradients,
    Inventory,
    Logits,
    Lost,
    SealedAverage,
    Spending,
    State,
    StepId,
    StepReport,
    Traffic,
    Usage,
    Written,
    arrays_of,
    type_name,
)
from raygan.wire.secure import (
    Dealt,
    Greeting,
    HandedOver,
    KeyShares,
    MaskedState,
    PublicKeys,
    Roster,
    Survivors,
    Unmasking,
)

T = TypeVar("T")
SMALL = (
    StepReport, BodyReport, Assignment, ClassCounts, Inventory, CheckIn, Spending, Traffic, Written, Evaluation, Usage,
    Lost, Survivors,
)  # fmt: skip
"""Records without arrays."""
SMALL_BYTES = 64 * 1024
"""They are smaller than this."""


def checked(record: T) -> T:
    """The record itself, if the wire contract allows it.

    Raises:
        WireError: it is not one of the records of this module, activations or gradients are neither float
            nor well encoded, a small record holds an array, or an array has no batch axis.
    """
    if record is None:
        return record
    check = CHECKS.get(type(record))
    if check is None:
        raise WireError(f"{type(record).__name__} is not a record of raygan.wire.records")
    check(record)
    return record


def enforce(name: str, method: str, problem: str | None) -> None:
    """Lets what has no problem go from its sender.

    Raises:
        WireError: naming sender, method and what is wrong.
    """
    if problem is not None:
        raise WireError(f"{name}, {method}: {problem}; it was not sent")


def counts_only(record: T) -> T:
    """The record itself, if it may go to the driver.

    Raises:
        WireError: it holds an array.
    """
    if next(arrays_of(record), None) is not None:
        found = f"{type(record).__name__} holds an array"
        raise WireError(f"{found}; only counts, losses and timings go to the driver")
    return record


def _check_messages(record: Activations | Gradients) -> None:
    for part in _parts(record):
        _check_part(type(record).__name__, part)


def _check_anchor_map(record: AnchorMap) -> None:
    found, shape = type_name(record.map), getattr(record.map, "shape", ())
    if found is None or not found.startswith("float") or len(shape) > 3:
        raise WireError(f"AnchorMap: {found} array of shape {shape}; only a float mean over a batch crosses")


def _check_batches(record: Fakes | Feedback | Logits) -> None:
    for name, array, kind, num_axes in _batches(record):
        found, shape = type_name(array), getattr(array, "shape", ())
        if found is None or not found.startswith(kind) or len(shape) != num_axes:
            raise WireError(f"{name}: {found} array of shape {shape}; only {kind} batches of {num_axes} axes cross")


def _check_parameters(record: State | BlockAverage) -> None:
    for array in arrays_of(record):
        if not isinstance(array, np.ndarray) or (array.dtype.kind != "f" and array.ndim > 0):
            raise WireError(
                f"{type(record).__name__}: {type_name(array)} array of shape {array.shape}; only parameters cross"
            )


def _batches(record: Fakes | Feedback | Logits) -> Iterator[tuple[str, Any, str, int]]:
    """Every array of the record, with its name, the kind of its entries and its number of axes."""
    if isinstance(record, Fakes):
        for client in record.images:
            yield from (("Fakes.images", array, "float", 4) for array in record.images[client])
            yield from (("Fakes.labels", array, "int", 1) for array in record.labels[client])
    elif isinstance(record, Feedback):
        yield from (("Feedback", array, "float", 4) for array in record.gradients.values())
    else:
        yield from (("Logits", array, "float", 1) for array in record.values.values())


def _parts(record: Activations | Gradients) -> Iterator[Any]:
    """Every tensor of the record, and any array that hides elsewhere in it."""
    step = record.step
    if type(step) is not StepId or type(step.round) is not int or type(step.step) is not int:
        yield from arrays_of(step)
    for parts in record.arrays.values():
        yield from parts


def _check_part(where: str, part: Any) -> None:
    """One tensor: a float batch, or one that is well encoded."""
    payload, needed = part, "float"
    if isinstance(part, Encoded):
        form = CODECS.get(part.codec)
        if form is None or part.codec == "float32" or not isinstance(part.scale, float):
            raise WireError(f"{where}: {part.codec!r} with scale {part.scale!r} is no encoded tensor")
        if not form.scale_bytes and part.scale != 1.0:
            raise WireError(f"{where}: {part.codec} has no scale, but {part.scale} came with it")
        payload, needed = part.payload, np.dtype(form.payload).name
    found = type_name(payload)
    if found is None:
        raise WireError(f"{where} holds a {type(payload).__name__}; only {needed} batches cross")
    fits = found.startswith("float") if needed == "float" else found == needed
    if not fits or payload.ndim < 1:
        raise WireError(f"{where}: {found} array of shape {tuple(payload.shape)}; only {needed} batches cross")


def _check_keys(record: PublicKeys | Roster | KeyShares | Dealt | Unmasking | Greeting | HandedOver) -> None:
    for array in arrays_of(record):
        if type_name(array) != "uint8" or array.ndim != 1:
            found = f"{type(record).__name__}: {type_name(array)} array of shape {array.shape}"
            raise WireError(f"{found}; only keys, shares and what is sealed cross")


def _check_masked(record: MaskedState | SealedAverage) -> None:
    for array in arrays_of(record):
        if type_name(array) != "uint64" or array.ndim != 1:
            found = f"{type(record).__name__}: {type_name(array)} array of shape {array.shape}"
            raise WireError(f"{found}; only whole numbers under masks cross")


CHECKS: Mapping[type, Callable[[Any], object]] = {
    **dict.fromkeys((Activations, Gradients), _check_messages),
    **dict.fromkeys((State, BlockAverage), _check_parameters),
    **dict.fromkeys((Fakes, Feedback, Logits), _check_batches),
    **dict.fromkeys(SMALL, counts_only),
    **dict.fromkeys((PublicKeys, Roster, KeyShares, Dealt, Unmasking, Greeting, HandedOver), _check_keys),
    AnchorMap: _check_anchor_map,
    MaskedState: _check_masked,
    SealedAverage: _check_masked,
}
"""What each record must hold; a record that is not here does not cross."""
BULK = tuple(kind for kind in CHECKS if kind not in SMALL)
"""Records with arrays."""
LISTED = (*BULK, ClassCounts)
"""What leaves a client only where its `Worker.sends` has it."""
