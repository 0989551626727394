"""Shamir's secret sharing (1979, doi 10.1145/359168.359176): any t of n shares tell a secret of 32 bytes, t - 1 nothing.

A secret is a(0) of a random polynomial a of degree t - 1 over the integers modulo P; the share of x is a(x), x from 1.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

SECRET_BYTES = 32
PRIME = 2**256 + 297
"""The smallest prime above every secret."""
SHARE_BYTES = 33


def split(secret: bytes, points: Iterable[int], threshold: int) -> dict[int, bytes]:
    """Point x, from 1 -> the share of x, 33 bytes.

    Args:
        secret: 32 bytes.
        threshold: t.
    """
    assert len(secret) == SECRET_BYTES, f"a secret of {len(secret)} bytes"
    coefficients = [int.from_bytes(secret, "big"), *(secrets.randbelow(PRIME) for _ in range(threshold - 1))]
    return {x: _value(coefficients, x).to_bytes(SHARE_BYTES, "big") for x in points}


def _value(coefficients: list[int], x: int) -> int:
    """Horner's rule, from the highest power down."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % PRIME
    return value


class Recovery:
    """Recovers secrets from the shares of the same t points; what depends on the points alone is computed once."""

    def __init__(self, points: Iterable[int]) -> None:
        self.points = sorted(points)
        self._weights = {x: self._at_zero(x) for x in self.points}

    def _at_zero(self, x: int) -> int:
        """Lagrange's polynomial of x, at 0: the product over the other points of z / (z - x)."""
        numerator = denominator = 1
        for other in self.points:
            if other != x:
                numerator = numerator * other % PRIME
                denominator = denominator * (other - x) % PRIME
        return numerator * pow(denominator, -1, PRIME) % PRIME

    def secret(self, shares: Mapping[int, bytes]) -> bytes:
        """The secret of 32 bytes, from the share of each point.

        Raises:
            ValueError: they are no shares of one secret of 32 bytes.
        """
        terms = (weight * int.from_bytes(shares[x], "big") for x, weight in self._weights.items())
        found = sum(terms) % PRIME
        if found >= 2 ** (8 * SECRET_BYTES):
            raise ValueError("these are no shares of one secret")
        return found.to_bytes(SECRET_BYTES, "big")
