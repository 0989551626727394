"""The secret that all clients share and nobody else has (`privacy.hide_discriminator`): what D's ends begin with, what
hides their sums on the way back, and what their files are encrypted with.

One client draws 32 bytes and seals them to every other (X25519, AES-256-GCM). Each site keeps them in a folder of its own
(`privacy.keys`), under their fingerprint, since a resumed run needs them: the run's folder has the fingerprint alone.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save

from raygan.errors import RunError
from raygan.names import BlockKey
from raygan.secure import primitives
from raygan.storage import replace_file, writing

NAME, SEALED = "hidden.secret", "hidden.arrays"
"""In a client's file: the fingerprint of the secret, and what is sealed under it."""
HIDDEN = ("discriminator.", "adam.discriminator.")
"""Arrays of a client's file that are sealed: D's ends and their optimizer's moments."""


class Secret:
    """32 bytes."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.name = hashlib.sha256(b"raygan secret" + value).hexdigest()[:32]
        """Its fingerprint, which anybody may know."""

    @classmethod
    def drawn(cls) -> Secret:
        """A new one, from the operating system."""
        return cls(os.urandom(primitives.KEY_BYTES))

    def draw(self, purpose: str) -> np.random.Generator:
        """Random numbers that only who has the secret can know."""
        key = primitives.derived(self.value, self.name, f"draw {purpose}")
        return np.random.default_rng(int.from_bytes(key, "big"))

    def pad(self, session: str, member: int, key: BlockKey, size: int) -> np.ndarray:
        """(size,) uint64: what one member adds to a block in one session, beside the masks. It stays in the sum."""
        return primitives.mask(self.value, session, f"pad {member} {key[0]}.{key[1]}", size)

    def without_pads(self, total: np.ndarray, session: str, members: Iterable[int], key: BlockKey) -> np.ndarray:
        """(N,) uint64: a sum over these members without what they added."""
        bare = total.copy()
        for member in members:
            bare -= self.pad(session, member, key, len(total))
        return bare

    def seal_arrays(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A client's arrays, those of D's ends in one that only who has the secret can read."""
        hidden = {
            name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items() if _hides(name)
        }
        key = primitives.derived(self.value, self.name, "files")
        sealed = primitives.sealed(key, save(hidden), "a client's file")
        own = {name: array for name, array in arrays.items() if not _hides(name)}
        return {**own, NAME: _array(bytes.fromhex(self.name)), SEALED: _array(sealed)}

    def open_arrays(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inverse of `seal_arrays`.

        Raises:
            SealError: the file was altered.
        """
        key = primitives.derived(self.value, self.name, "files")
        hidden = load(primitives.opened(key, arrays[SEALED].tobytes(), "a client's file"))
        return {**{name: array for name, array in arrays.items() if name not in (NAME, SEALED)}, **hidden}


def keep_secret(folder: Path, secret: Secret) -> None:
    """Writes it where its site keeps such, for its owner alone.

    Raises:
        RunError: it cannot be written.
    """
    file = folder / f"{secret.name}.key"
    with writing(file):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(file, secret.value)
        file.chmod(0o600)


def kept_secret(folder: Path, arrays: Mapping[str, np.ndarray]) -> Secret:
    """The secret under which a client's file is sealed.

    Raises:
        RunError: this machine does not keep it.
    """
    file = folder / f"{arrays[NAME].tobytes().hex()}.key"
    try:
        secret = Secret(file.read_bytes())
    except OSError:
        found = "is not here, and the client's discriminator is sealed under it"
        raise RunError(
            str(file), found, "bring it from the machine that trained the client, or train a new run"
        ) from None
    if secret.name != file.stem:
        raise RunError(str(file), "was altered or damaged", "bring it from another of the run's machines")
    return secret


def permuted(array: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """The entries in another order: the same distribution, which its seed no longer tells."""
    return draw.permutation(array.reshape(-1)).reshape(array.shape)


def _hides(name: str) -> bool:
    return name.startswith(HIDDEN)


def _array(message: bytes) -> np.ndarray:
    return np.frombuffer(message, np.uint8)
