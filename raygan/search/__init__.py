"""Searches with Ray Tune: `raygan tune`, and for Tune's users `trainable` and `result_of`.

import raygan

tuner = tune.Tuner(raygan.search.trainable(), param_space={"training.lr": tune.loguniform(1e-4, 1e-3)})
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raygan.search.trainables import result_of, trainable

__all__ = ["result_of", "trainable"]


def __getattr__(name: str) -> Any:
    """On first use: they bring Ray Tune and torch along."""
    if name in __all__:
        from raygan.search import trainables

        return getattr(trainables, name)
    raise AttributeError(f"module 'raygan.search' has no attribute {name!r}")
