"""Measurements of blocks (`raygan.nn.vmapped`), kept on the machine on which they were made.

One small file for each block, batch, number of clients and device. A file that is missing, damaged or cannot be written
is no fault: the block is measured (again).
"""

from __future__ import annotations

import hashlib
import inspect
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from threading import Lock

import torch
from pydantic import TypeAdapter
from torch import nn

from raygan.nn.vmapped import BlockTime, Tensors, time_block
from raygan.storage import one_at_a_time, replace_file

CACHE = Path("~/.cache/raygan/vmap")
NOT_MEASURED = BlockTime(0.0, None)
_PARSING = Lock()
"""Python before 3.11.8 counts the depth of what it parses for all threads together, and fails where two of them parse at
once (python/cpython issue 106905)."""


def kept_or_timed(block: nn.Module, num_clients: int, inputs: Tensors) -> BlockTime:
    """As `time_block`. Processes of a machine measure one at a time, and a block once."""
    folder = CACHE.expanduser()
    path = folder / f"{_key(block, num_clients, inputs)}.json"
    with one_at_a_time(folder):
        kept = _read(path)
        if kept is not None:
            return kept
        taken = _timed(block, num_clients, inputs)
        if taken is None:
            return NOT_MEASURED
        with suppress(OSError):
            replace_file(path, json.dumps(asdict(taken)).encode())
    return taken


def _timed(block: nn.Module, num_clients: int, inputs: Tensors) -> BlockTime | None:
    """None: there was not the memory, which may be otherwise the next time."""
    try:
        return time_block(block, num_clients, inputs)
    except torch.cuda.OutOfMemoryError:
        return None
    finally:
        if inputs[0].device.type == "cuda":
            torch.cuda.empty_cache()  # other actors share the GPU


def _key(block: nn.Module, num_clients: int, inputs: Tensors) -> str:
    """Of all that the measurement depends on: 32 hexadecimal digits."""
    device = inputs[0].device
    gpu = device.type == "cuda"
    described = [
        repr(block),
        sorted({_source(type(module)) for module in block.modules()}),
        [(name, list(x.shape), list(x.stride())) for name, x in block.state_dict().items()],
        [(str(x.dtype), list(x.shape)) for x in inputs],
        (device.type, torch.cuda.get_device_name(device) if gpu else torch.backends.cpu.get_cpu_capability()),
        (num_clients, torch.get_num_threads(), torch.__version__),
    ]
    return hashlib.blake2b(json.dumps(described).encode(), digest_size=16).hexdigest()


def _source(kind: type) -> str:
    """The code of a module's class; of torch's own, whose version is known, the name."""
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name.startswith("torch."):
        return name
    try:
        with _PARSING:
            return inspect.getsource(kind)
    except (OSError, TypeError):
        return name


def _read(path: Path) -> BlockTime | None:
    with suppress(OSError, ValueError):
        return TypeAdapter(BlockTime).validate_json(path.read_bytes())
    return None
