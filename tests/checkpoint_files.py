"""What the clients have in a checkpoint, read by safetensors alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import load_file


def client_states(folder: Path) -> dict[int, dict[str, np.ndarray]]:
    """Client -> its arrays, of all that the folder has, whichever actor wrote them."""
    states: dict[int, dict[str, np.ndarray]] = {}
    for file in sorted(folder.glob("clients-*.safetensors")):
        for full_name, array in load_file(file).items():
            number, name = full_name.split("/", 1)
            states.setdefault(int(number), {})[name] = array
    return dict(sorted(states.items()))


def checkpoint_states(folder: Path) -> dict[str, np.ndarray]:
    """`who/array` -> array, of everybody: `client-3`, `body`, `cluster-0`."""
    found = {f"client-{number}/{name}": a for number, own in client_states(folder).items() for name, a in own.items()}
    for file in sorted(folder.glob("*.safetensors")):
        if not file.name.startswith("clients-"):
            found |= {f"{file.stem}/{name}": array for name, array in load_file(file).items()}
    return found
