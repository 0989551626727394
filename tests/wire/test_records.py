"""What the wire contract refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raygan.errors import WireError
from raygan.wire.contract import checked
from raygan.wire.records import (
    Activations,
    AnchorMap,
    BlockAverage,
    Encoded,
    Gradients,
    State,
    StepId,
    StepReport,
)

STEP = StepId(0, 0)
LABELS = np.arange(8)
BITS = np.zeros((4, 2), dtype=np.uint16)
BYTES = np.zeros((4, 2), dtype=np.int8)


@pytest.mark.parametrize("record", [Activations, Gradients])
@pytest.mark.parametrize(
    ("part", "message"),
    [
        (LABELS, "int64 array of shape (8,); only float batches cross"),
        (BYTES, "int8 array of shape (4, 2); only float batches cross"),
        (BITS, "uint16 array of shape (4, 2); only float batches cross"),
        (np.float32(1), "holds a float32; only float batches cross"),
        ([1.0], "holds a list; only float batches cross"),
        (np.array(1.0), "array of shape (); only float batches cross"),
        (Encoded("int8", LABELS, 0.1), "int64 array of shape (8,); only int8 batches cross"),
        (Encoded("int8", BITS, 0.1), "uint16 array"),
        (Encoded("bfloat16", BYTES), "int8 array of shape (4, 2); only uint16 batches cross"),
        (Encoded("bfloat16", BITS, 2.0), "bfloat16 has no scale, but 2.0 came with it"),
        (Encoded("float16", BITS, 0.1), "uint16 array of shape (4, 2); only float16 batches cross"),
        (Encoded("int8", LABELS.tolist(), 0.1), "holds a list; only int8 batches cross"),  # type: ignore[arg-type]
        (Encoded("int8", BYTES, LABELS), "'int8' with scale array"),  # type: ignore[arg-type]
        (Encoded("int8", np.int8(3), 0.1), "holds a int8"),  # type: ignore[arg-type]
        (Encoded("float32", np.zeros((2, 2), np.float32)), "is no encoded tensor"),
        (Encoded("uint8", BYTES, 0.1), "'uint8' with scale 0.1 is no encoded tensor"),  # type: ignore[arg-type]
    ],
)
def test_only_float_batches_and_well_encoded_ones_cross(record: type, part: Any, message: str) -> None:
    good = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(WireError) as refused:
        checked(record(STEP, {0: (good,), 1: (good, part)}))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "part",
    [np.zeros((2, 3), np.float32), Encoded("bfloat16", BITS), Encoded("int8", BYTES, float("nan"))],
)
def test_what_the_contract_allows_passes_as_it_is(part: Any) -> None:
    record = Gradients(STEP, {3: (part,)})
    assert checked(record) is record


@pytest.mark.parametrize(
    "found",
    [np.zeros((8, 4, 3, 3), np.float32), np.zeros((4, 3, 3), np.int64), LABELS, Encoded("int8", BYTES, 0.1), 1.0],
)
def test_a_map_is_a_mean_over_a_batch(found: Any) -> None:
    good = AnchorMap(0, np.zeros((4, 3, 3), np.float32))
    assert checked(good) is good
    with pytest.raises(WireError, match="only a float mean over a batch crosses"):
        checked(AnchorMap(0, found))


def test_nothing_hides_beside_the_tensors() -> None:
    with pytest.raises(WireError, match="int64 array"):
        checked(Activations(LABELS, {}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "record",
    [
        State(1, {("generator", 0): {"w": Encoded("int8", BYTES, 0.1)}}),  # type: ignore[dict-item]
        BlockAverage(("generator", 0), {"w": Encoded("bfloat16", BITS)}),  # type: ignore[dict-item]
        StepReport(STEP, {0: Encoded("int8", BYTES, 0.1)}, {}, 0, {}, 0, 0),  # type: ignore[dict-item]
    ],
)
def test_encoded_tensors_cross_as_activations_and_gradients_only(record: Any) -> None:
    with pytest.raises(WireError):
        checked(record)
