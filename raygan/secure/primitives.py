"""The cryptography that secure aggregation is made of, from the package `cryptography`: nothing here is our own.

| what | how |
|---|---|
| keys that two agree on | X25519 (RFC 7748), then HKDF-SHA256 (RFC 5869), salt the session, info the purpose |
| sealed messages | AES-256-GCM, a random nonce of 12 bytes before it, the purpose as associated data |
| masks | AES-256 in counter mode, of a key that is used once |
"""

from __future__ import annotations

import os

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class SealError(ValueError):
    """A sealed message that was altered, or is somebody else's."""


class KeyPair:
    """A private X25519 key and its public one.

    Args:
        private: 32 bytes; None: new ones from the operating system.
    """

    def __init__(self, private: bytes | None = None) -> None:
        self.private = os.urandom(KEY_BYTES) if private is None else private
        self._key = X25519PrivateKey.from_private_bytes(self.private)
        self.public = self._key.public_key().public_bytes_raw()

    def agreed(self, other: bytes, session: str, purpose: str) -> bytes:
        """The 32 bytes that it and the owner of another public key alone know."""
        return derived(self._key.exchange(X25519PublicKey.from_public_bytes(other)), session, purpose)


def derived(secret: bytes, session: str, purpose: str) -> bytes:
    """32 bytes of a secret, others for every session and purpose."""
    return HKDF(SHA256(), KEY_BYTES, session.encode(), f"raygan {purpose}".encode()).derive(secret)


def mask(seed: bytes, session: str, purpose: str, size: int) -> np.ndarray:
    """(size,) uint64, uniform to whoever does not know the seed; the same for the same arguments."""
    key = derived(seed, session, f"mask {purpose}")
    stream = Cipher(AES256(key), CTR(bytes(16))).encryptor()
    return np.frombuffer(stream.update(bytes(8 * size)), "<u8")


def sealed(key: bytes, message: bytes, purpose: str) -> bytes:
    """The message, which only who has the key can read or alter."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, message, purpose.encode())


def opened(key: bytes, message: bytes, purpose: str) -> bytes:
    """The inverse of `sealed`.

    Raises:
        SealError: it was altered, or sealed under another key or for another purpose.
    """
    try:
        return AESGCM(key).decrypt(message[:NONCE_BYTES], message[NONCE_BYTES:], purpose.encode())
    except InvalidTag:
        raise SealError("a sealed message was altered, or is for somebody else") from None
