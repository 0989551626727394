"""Many clients' arrays in one safetensors file, written and read one client at a time: never are all in memory.

safetensors' own writer takes all arrays at once and copies them. The form: eight bytes with the length of a JSON header
(little endian), the header with each array's type, shape and place, then the arrays one after the other
(https://github.com/huggingface/safetensors#format). A client's arrays are named `NNNN/name`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from raygan.errors import RunError
from raygan.storage import replace_file, writing
from raygan.wire.records import Written

TYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "int64": "I64",
    "int32": "I32",
    "uint8": "U8",
    "bool": "BOOL",
}
"""numpy's names of the types that networks and optimizers have, and safetensors'."""
ALIGNED_BYTES = 8

Arrays = Mapping[str, np.ndarray]


def write_packed(path: Path, clients: Mapping[int, Callable[[], Arrays]]) -> Written:
    """Writes the arrays of several clients: whole, or not at all.

    Args:
        clients: number -> its arrays, asked for twice: once for their form, once to be written.

    Raises:
        RunError: the file cannot be written.
    """
    digest, num_bytes = hashlib.sha256(), 0

    def counted() -> Iterator[bytes | memoryview]:
        nonlocal num_bytes
        for part in _content(clients):
            digest.update(part)
            num_bytes += len(part)
            yield part

    with writing(path):
        replace_file(path, counted())
    return Written(path.name, num_bytes, digest.hexdigest(), tuple(clients))


def read_packed(path: Path, wanted: Collection[int]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """The wanted clients, one after the other, each with its arrays; of one that the file has not, none.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            names: dict[int, list[str]] = {client: [] for client in wanted}
            for full_name in file.keys():  # noqa: SIM118 - it is no mapping
                number, _, name = full_name.partition("/")
                if number.isdecimal() and int(number) in names:
                    names[int(number)].append(name)
            for client, mine in names.items():
                yield client, {name: file.get_tensor(_full_name(client, name)) for name in mine}
    except (OSError, SafetensorError) as error:
        raise RunError(str(path), f"cannot be read ({error})", "use another round or run") from None


def _content(clients: Mapping[int, Callable[[], Arrays]]) -> Iterator[bytes | memoryview]:
    """The file, part by part."""
    header: dict[str, Any] = {}
    end = 0
    for client, arrays in clients.items():
        for name, array in arrays().items():
            start, end = end, end + array.nbytes
            form = {"dtype": TYPES[array.dtype.name], "shape": array.shape, "data_offsets": (start, end)}
            header[_full_name(client, name)] = form
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % ALIGNED_BYTES)
    yield len(text).to_bytes(8, "little")
    yield text
    for arrays in clients.values():
        for array in arrays().values():
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _full_name(client: int, name: str) -> str:
    return f"{client:04d}/{name}"
