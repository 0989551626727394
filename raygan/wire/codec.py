"""Wire codecs: how activations and gradients become numpy arrays on the wire, and tensors again at their receiver.

| codec | on the wire | largest error of an entry |
|---|---|---|
| `float32` | the entries, as they are | none |
| `bfloat16` | their upper 16 bits, rounded | 2^-8 of the entry |
| `float16` | entries / scale as float16 | 2^-11 of the entry, or 2^-39 of the tensor's largest |
| `int8` | entries / scale as whole numbers from -127 to 127 | 1/254 of the tensor's largest |

Gradients are tiny (an entry of 1e-6 is common), below what float16 resolves, so float16 and int8 divide each tensor
by a scale of its own. float16's is a power of two, which loses no bit, and puts the largest entry between 2^14 and
2^15: nothing overflows. bfloat16 has float32's range and needs none. A tensor whose largest entry is below 1e-30
is sent as zeros under a scale. NaN or inf in a tensor stays visible: bfloat16 keeps it, the others' scale is NaN or inf.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from raygan.names import Codec
from raygan.wire.maps import channels_last
from raygan.wire.records import Encoded, WirePart

LEAST = 1e-30
"""A largest entry below this counts as zero: its scale would not be a normal float32."""
CPU = torch.device("cpu")
# what Ray hands over is read-only memory of its own, and nobody writes into a tensor that was decoded
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


def encode(tensors: Sequence[Tensor], codec: Codec, direct: bool = False) -> tuple[WirePart, ...]:
    """Tensors (B_k, ...) float32 on one device as what crosses the wire.

    Under float32 on the CPU the arrays are the tensors' own memory. From a GPU all copies are under way at once,
    into pinned memory.

    Args:
        direct: for Ray Direct Transport: torch tensors on their device, each in memory of its own, since the
            receiver is given access to all of it.
    """
    if codec == "float32" and direct:
        return tuple(x.detach().clone(memory_format=torch.contiguous_format) for x in tensors)
    if codec == "float32":
        return tuple(to_array(tensor) for tensor in _to_host([tensor.detach() for tensor in tensors]))
    packed = [_PACK[codec](tensor.detach()) for tensor in tensors]
    if direct:
        return tuple(Encoded(codec, _bits(x).contiguous(), scale.item()) for x, scale in packed)
    on_host = _to_host([x for pair in packed for x in pair])
    return tuple(
        Encoded(codec, to_array(_bits(payload)), scale.item())
        for payload, scale in zip(on_host[::2], on_host[1::2], strict=True)
    )


def to_array(tensor: Tensor) -> np.ndarray:
    """A tensor on the CPU as an array, of its own memory where that is contiguous or has the channels of maps last."""
    if tensor.is_contiguous():
        return tensor.numpy()
    if tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last):
        return channels_last(tensor.permute(0, 2, 3, 1).numpy())
    return tensor.contiguous().numpy()


def decode(part: WirePart, device: torch.device = CPU) -> Tensor:
    """The float32 tensor of what crossed the wire; under float32 on the CPU it is the array's own memory."""
    if not isinstance(part, Encoded):
        return _to_device(_tensor(part), device)
    payload = _to_device(_tensor(part.payload), device)
    if part.codec == "bfloat16":
        return payload.view(torch.bfloat16).to(torch.float32)
    return payload.to(torch.float32).mul_(part.scale)


def is_finite(part: WirePart) -> bool:
    """Whether the encoded tensor held neither NaN nor inf."""
    if not isinstance(part, Encoded):
        # a sum is finite only if every entry is
        return math.isfinite(_tensor(part).sum().item())
    if part.codec == "bfloat16":
        bits = _tensor(part.payload).view(torch.int16)
        return bits.numel() == 0 or int((bits & 0x7FFF).max()) < 0x7F80
    return math.isfinite(part.scale)


Packed = tuple[Tensor, Tensor]
"""Payload and scale, on the tensor's device."""


def _bfloat16(x: Tensor) -> Packed:
    return x.to(torch.bfloat16), x.new_ones(())


def _float16(x: Tensor) -> Packed:
    largest = _largest(x)
    scale = largest / torch.frexp(largest).mantissa * 2.0**-15
    return torch.div(x, scale).to(torch.float16), scale


def _int8(x: Tensor) -> Packed:
    scale = _largest(x) / 127
    return torch.div(x, scale).round_().to(torch.int8), scale


_PACK: dict[Codec, Callable[[Tensor], Packed]] = {"bfloat16": _bfloat16, "float16": _float16, "int8": _int8}


def _largest(x: Tensor) -> Tensor:
    """The largest absolute value, a scalar on the tensor's device; 1 where it is next to nothing; NaN stays NaN."""
    if x.numel() == 0:
        return x.new_ones(())
    low, high = torch.aminmax(x)
    largest = torch.maximum(-low, high)
    return torch.where(largest < LEAST, torch.ones_like(largest), largest)


def _bits(payload: Tensor) -> Tensor:
    return payload.view(torch.uint16) if payload.dtype == torch.bfloat16 else payload


def _tensor(payload: np.ndarray | Tensor) -> Tensor:
    return payload if isinstance(payload, Tensor) else torch.from_numpy(payload)


def _to_host(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors in this machine's memory; one wait for all of them."""
    if all(tensor.device == CPU for tensor in tensors):
        return tensors
    copies = [_pinned(tensor) for tensor in tensors]
    for copy, tensor in zip(copies, tensors, strict=True):
        copy.copy_(tensor, non_blocking=True)
    _wait(tensors[0].device)
    return copies


def _pinned(like: Tensor) -> Tensor:
    return torch.empty_like(like, device=CPU, pin_memory=True)


def _wait(device: torch.device) -> None:
    torch.cuda.current_stream(device).synchronize()


def _to_device(tensor: Tensor, device: torch.device) -> Tensor:
    if tensor.device.type == device.type:
        return tensor
    return (tensor.pin_memory() if tensor.device == CPU else tensor).to(device, non_blocking=device != CPU)
