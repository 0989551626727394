"""The work that all sides do, and the line that each prints when it has done it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import Any

from raygan.config.loading import make_config
from raygan.config.schema import Config


@dataclass(frozen=True)
class Work:
    """Sizes: those of the paper's networks, with a batch of every client's images in each step."""

    clients: int
    batch_size: int
    width: float
    steps: int
    """Steps that are timed; for algorithms with rounds, those of one round."""
    rounds: int
    """Rounds that are timed, for algorithms with rounds."""

    @classmethod
    def given(cls) -> Work:
        """From this process's arguments."""
        return cls(**json.loads(sys.argv[1]))

    @property
    def text(self) -> str:
        """The argument of a side's process."""
        return json.dumps(asdict(self))

    def config(self, **settings: Any) -> Config:
        """Raygan's configuration of this work on the embedded data: the rounds that are timed, one
        before and one after them."""
        half, one_more = divmod(self.clients, 2)
        first = {"name": "demo_mnist", "clients": half + one_more}
        second = {"name": "demo_fashion_mnist", "clients": half}
        training = {"batch_size": self.batch_size, "rounds": self.rounds + 2, "average": None}
        domains = [first, second] if half else [first]
        return make_config(
            {
                "data": {"domains": domains, "images_per_client": self.steps * self.batch_size},
                "model": {"width": self.width, "networks": "paper"},
                "training": training,
                "evaluation": {"every": self.rounds + 2, "images": 100},
                "checkpoints": {"every": self.rounds + 2},
                **settings,
            }
        )


def tell(images: int, seconds: float) -> None:
    """This side's line."""
    print(json.dumps({"images": images, "seconds": seconds}), flush=True)
