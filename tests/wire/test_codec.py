"""What a tensor is after the wire, for every codec; the expected values are worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch

from raygan.names import Codec
from raygan.wire.codec import decode, encode, is_finite
from raygan.wire.records import CODECS, Encoded, num_bytes, wire_bytes

NARROW: list[Codec] = ["bfloat16", "float16", "int8"]


def encoded(x: torch.Tensor, codec: Codec) -> Encoded:
    (part,) = encode([x], codec)
    assert isinstance(part, Encoded)
    return part


def through(x: torch.Tensor, codec: Codec) -> torch.Tensor:
    (part,) = encode([x], codec)
    return decode(part)


def test_float32_is_the_tensors_own_memory_in_both_directions() -> None:
    x = torch.randn(3, 4)
    (part,) = encode([x.requires_grad_()], "float32")
    assert isinstance(part, np.ndarray)
    assert part.__array_interface__["data"][0] == x.data_ptr() == decode(part).data_ptr()


def test_bfloat16_is_the_upper_half_rounded_to_even() -> None:
    # 1 + 2^-7 is the next bfloat16 after 1; 1 + 2^-8 lies between them and goes to the even one, 1
    x = torch.tensor([1.0, 1 + 2**-7, 1 + 2**-8, -3e38])
    part = encoded(x, "bfloat16")
    assert part.payload.dtype == np.uint16
    assert part.payload[:3].tolist() == [0x3F80, 0x3F81, 0x3F80]
    assert decode(part)[:3].tolist() == [1, 1 + 2**-7, 1]
    assert torch.isfinite(decode(part)).all()


def test_int8_is_a_whole_number_of_127ths_of_the_largest() -> None:
    part = encoded(torch.tensor([-2.54, 0.02, 0.031, 0.0, 1.27]), "int8")
    assert part.payload.dtype == np.int8
    assert part.payload.tolist() == [-127, 1, 2, 0, 64]  # the scale is 0.02; 63.5 goes to the even 64
    assert decode(part).tolist() == pytest.approx([-2.54, 0.02, 0.04, 0, 1.28], rel=1e-6)


@pytest.mark.parametrize(("largest", "scale"), [(1.0, 2.0**-14), (1.99, 2.0**-14), (2.0, 2.0**-13), (1e-6, 2.0**-34)])
def test_float16_is_scaled_by_a_power_of_two(largest: float, scale: float) -> None:
    part = encoded(torch.tensor([largest, largest / 3]), "float16")
    assert part.scale == scale  # largest / scale is in [2^14, 2^15)
    assert decode(part).tolist() == pytest.approx([largest, largest / 3], rel=2**-11)


@pytest.mark.parametrize("codec", NARROW)
@pytest.mark.parametrize("size", [1e-28, 1e-12, 1e-6, 1.0, 1e5, 1e38])
def test_tensors_of_any_size_survive(codec: Codec, size: float) -> None:
    x = size * torch.linspace(-1, 1, 64, dtype=torch.float64).to(torch.float32)
    assert through(x, codec).tolist() == pytest.approx(x.tolist(), rel=2**-8, abs=size / 253)


@pytest.mark.parametrize("codec", NARROW)
@pytest.mark.parametrize("x", [torch.zeros(2, 3), torch.zeros(0, 3), torch.full((2, 2), 1e-40)])
def test_next_to_nothing_is_nothing(codec: Codec, x: torch.Tensor) -> None:
    assert through(x, codec).shape == x.shape
    assert through(x, codec).abs().sum() < 1e-39


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_known_by_its_encoding_and_stays_so(codec: Codec, bad: float) -> None:
    x = torch.ones(4, 5)
    (good,) = encode([x], codec)
    assert is_finite(good)
    x[2, 3] = bad
    (part,) = encode([x], codec)
    assert not is_finite(part)
    assert not torch.isfinite(decode(part)).all()


@pytest.mark.parametrize(("codec", "num"), [("float32", 2400), ("bfloat16", 1200), ("float16", 1208), ("int8", 608)])
def test_bytes_are_a_half_and_a_quarter(codec: Codec, num: int) -> None:
    (part,) = encode([torch.randn(20, 30)], codec)
    assert num_bytes([{0: (part,)}]) == num == wire_bytes(600, codec)


@pytest.mark.parametrize("codec", CODECS)
def test_tensors_are_encoded_one_by_one(codec: Codec) -> None:
    parts = [torch.randn(2, 3), 1000 * torch.randn(5, 2)]
    together = [decode(part) for part in encode(parts, codec)]
    for x, alone in zip(together, (through(part, codec) for part in parts), strict=True):
        assert torch.equal(x, alone)


def test_what_ray_hands_over_is_decoded_without_a_warning() -> None:
    """An actor's log would have it: torch warns of memory that is read-only, once a process."""
    program = """
import numpy as np
from raygan.wire.codec import decode
array = np.ones(3, np.float32)
array.flags.writeable = False
print(decode(array).sum().item())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("3.0\n", "")
