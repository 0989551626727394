"""How records travel between Ray actors.

A record is returned as it is when Ray keeps it in the object store; Ray would send a smaller one to the
caller, the driver, so small bulk records are put into the store by their sender and only a `Parcel`, which
holds the reference, passes through the driver. The receiver waits for all senders at once, up to a deadline,
and gets `Lost` in the place of whatever is late or whose sender died.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError

from raygan.errors import ConfigError
from raygan.wire.contract import BULK, checked
from raygan.wire.records import (
    Activations,
    Gradients,
    Lost,
    num_bytes,
)

INLINE_BYTES = 110 * 1024
"""Ray returns objects below about 100 KiB to the caller itself."""


DIRECT = "nixl"
"""Ray Direct Transport's one-sided way, the only one that a receiver can wait for with a deadline: under `gloo` and
`nccl` both sides take part, and Ray kills both when one of them is lost."""


@dataclass(frozen=True)
class Parcel:
    """A reference to a bulk record, in the object store or the memory of its sender."""

    reference: ray.ObjectRef[Any]


def ship(record: Any, direct: bool = False) -> Any:
    """The record, checked against the wire contract, in the form that keeps it away from the driver.

    Args:
        direct: activations and gradients stay in their sender's memory until the receiver fetches them.
    """
    checked(record)
    if direct and isinstance(record, (Activations, Gradients)) and num_bytes(record):
        return Parcel(ray.put(record, _tensor_transport=DIRECT))
    if isinstance(record, BULK) and num_bytes(record) < INLINE_BYTES:
        return Parcel(ray.put(record))
    return record


def check_direct() -> None:
    """Refuses Ray Direct Transport where it does not work. Call it in the actor that is to use it.

    Raises:
        ConfigError: naming the reason.
    """
    import torch

    try:
        ray.put(torch.zeros(1), _tensor_transport=DIRECT)
    except Exception as error:
        found = f"direct, but it does not work here ({type(error).__name__}: {error})".splitlines()[0]
        remedy = "install raygan[direct], or leave it at object_store"
        raise ConfigError("ray.transport", found, remedy) from None


def receive(argument: Any) -> Any:
    """Replaces references inside lists, tuples and dicts by what they refer to, or by `Lost`."""
    references = references_in(argument)
    records = iter(gather(references))
    return _changed(argument, lambda _: next(records)) if references else argument


def gather(references: Sequence[ray.ObjectRef[Any]], deadline_s: float | None = None) -> list[Any]:
    """The records behind references, in order; `Lost` for one that is late or whose sender died.

    Args:
        deadline_s: seconds to wait for all of them; None: until each has come or failed.

    Raises:
        RayTaskError: a sender's code failed, which is a bug and not a loss.
    """
    late: set[ray.ObjectRef[Any]] = set()
    if deadline_s is not None:
        different = list(dict.fromkeys(references))  # the clients of one actor may share an average
        _, pending = ray.wait(different, num_returns=len(different), timeout=deadline_s)
        late = set(pending)
    try:
        if not late:
            return _unpack(ray.get(list(references)))
    except RayError as error:
        if _is_bug(error):
            raise
        # at least one failed: find out which
    return [
        Lost(f"late: nothing within {deadline_s:.3g} s", "late") if ref in late else _get(ref) for ref in references
    ]


def is_late(record: object) -> bool:
    """Whether a record was missing when its deadline passed."""
    return isinstance(record, Lost) and record.why == "late"


def _unpack(values: list[Any]) -> list[Any]:
    parcels = iter(ray.get([value.reference for value in values if isinstance(value, Parcel)]))
    return [next(parcels) if isinstance(value, Parcel) else value for value in values]


def _get(reference: ray.ObjectRef[Any]) -> Any:
    try:
        return _unpack([ray.get(reference)])[0]
    except RayError as error:
        if _is_bug(error):
            raise
        lines = str(error).strip().splitlines() or ["it says nothing"]
        why = lines[-1].split(". ")[0].rstrip(".")  # after this sentence, Ray guesses at causes
        return Lost(f"{type(error).__name__}: {why}")


def _is_bug(error: RayError) -> bool:
    """Whether a sender's code failed."""
    return isinstance(error, RayTaskError)


def references_in(argument: Any) -> list[ray.ObjectRef[Any]]:
    """Every reference inside lists, tuples and dicts."""
    found: list[ray.ObjectRef[Any]] = []
    _changed(argument, found.append)
    return found


def _changed(argument: Any, change: Callable[[ray.ObjectRef[Any]], Any]) -> Any:
    """The argument with every reference inside it changed."""
    if isinstance(argument, ray.ObjectRef):
        return change(argument)
    if isinstance(argument, (list, tuple)):
        return type(argument)(_changed(part, change) for part in argument)
    if isinstance(argument, dict):
        return {key: _changed(part, change) for key, part in argument.items()}
    return argument
