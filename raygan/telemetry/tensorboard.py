"""A run in TensorBoard: losses of every step, all numbers of every round, the sample pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from raygan.run.events import Listener
from raygan.run.metrics import flat
from raygan.run.plan import Plan


class TensorBoard(Listener):
    """Writes event files, those by step and those by round each in a folder: `tensorboard --logdir RUN/tensorboard`.

    Args:
        folder: where the event files go.
        samples: where the run's pictures are.
    """

    def __init__(self, folder: Path, samples: Path) -> None:
        self._folder, self._samples = folder, samples
        self._by_step: Any = None
        self._by_round: Any = None
        self._steps = 0

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Opens the files; what a run that is continued had written of rounds that are run again is purged."""
        from tensorboardX import SummaryWriter

        self._steps = num_steps
        self._by_step = SummaryWriter(str(self._folder / "steps"), purge_step=first_round * num_steps)
        self._by_round = SummaryWriter(str(self._folder / "rounds"), purge_step=first_round + 1)

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """The losses."""
        for name, loss in zip(("discriminator_loss", "generator_loss"), losses, strict=True):
            self._by_step.add_scalar(name, loss, round_number * self._steps + step)

    def on_round(self, metrics: dict[str, Any]) -> None:
        """The round's numbers and pictures."""
        for name, value in flat(metrics).items():
            if value is not None and name != "round":
                self._by_round.add_scalar(name, value, metrics["round"])
        for name in metrics["samples"]:
            if (file := self._samples / name).is_file():
                model = Path(name).stem.split("-", 2)[2]  # cluster-0
                pixels = np.asarray(Image.open(file).convert("RGB"))
                self._by_round.add_image(f"samples/{model}", pixels, metrics["round"], dataformats="HWC")
        for writer in (self._by_step, self._by_round):
            writer.flush()

    def on_end(self) -> None:
        """Closes the files."""
        for writer in (self._by_step, self._by_round):
            if writer is not None:
                writer.close()
