"""What a sender must pass before a record leaves it."""

from __future__ import annotations

from raygan.errors import WireError


def enforce(name: str, method: str, problem: str | None) -> None:
    """Lets what has no problem go.

    Raises:
        WireError: naming sender, method and what is wrong.
    """
    if problem is not None:
        raise WireError(f"{name}, {method}: {problem}; it was not sent")
