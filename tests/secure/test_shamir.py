"""Shamir by hand, and its promise: t shares tell all, t - 1 nothing."""

from __future__ import annotations

from itertools import combinations

import pytest

from raygan.secure import shamir
from raygan.secure.shamir import PRIME, Recovery, split

SECRET = bytes(range(32))


def is_probably_prime(number: int) -> bool:
    """Miller and Rabin's test, with the first primes as bases."""
    rest, twos = number - 1, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37):
        power = pow(base, rest, number)
        if power in (1, number - 1):
            continue
        powers = [pow(base, rest * 2**place, number) for place in range(1, twos)]
        if number - 1 not in powers:
            return False
    return True


def test_the_modulus_is_the_first_prime_above_every_secret() -> None:
    assert [n for n in range(2**256, PRIME + 1) if is_probably_prime(n)] == [PRIME]


def test_shares_are_the_values_of_the_polynomial(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([5, 2])  # a(x) = 7 + 5 x + 2 x^2
    monkeypatch.setattr(shamir.secrets, "randbelow", lambda below: next(drawn))
    shares = split((7).to_bytes(32, "big"), (1, 2, 3), 3)
    assert {x: int.from_bytes(share, "big") for x, share in shares.items()} == {1: 14, 2: 25, 3: 40}


def test_any_t_of_n_recover_the_secret() -> None:
    shares = split(SECRET, range(1, 6), 3)
    for points in combinations(shares, 3):
        assert Recovery(points).secret(shares) == SECRET


def test_the_largest_secret_comes_back() -> None:
    shares = split(b"\xff" * 32, (1, 2, 3), 2)
    assert Recovery((2, 3)).secret(shares) == b"\xff" * 32


def test_fewer_tell_nothing() -> None:
    """Shares of one secret are drawn anew each time, over all of the field."""
    firsts = [int.from_bytes(split(bytes(32), (1,), 2)[1], "big") for _ in range(200)]
    assert len(set(firsts)) == 200
    assert abs(sum(share < PRIME // 2 for share in firsts) - 100) < 50, "7 standard deviations"


def test_shares_of_different_secrets_are_noticed() -> None:
    shares = {1: (1).to_bytes(33, "big"), 2: (PRIME - 5).to_bytes(33, "big")}  # 2 a(1) - a(2) = 7
    assert Recovery((1, 2)).secret(shares) == (7).to_bytes(32, "big")
    with pytest.raises(ValueError, match="no shares of one secret"):
        Recovery((1, 2)).secret({1: (0).to_bytes(33, "big"), 2: (5).to_bytes(33, "big")})  # -5 mod P
