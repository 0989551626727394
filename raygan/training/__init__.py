"""The loop that drives the federation."""

from raygan.training.run import Run
from raygan.training.trainer import resume, train

__all__ = ["Run", "resume", "train"]
