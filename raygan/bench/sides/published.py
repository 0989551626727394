"""The published code's training step (`train_step` of a checkout's `HuSCFGAN.py`), on random images.

Nothing of the checkout is changed: it is run in a copy with a `configs.yaml` of its own. The cuts are given to it in
place of its genetic search's, which takes minutes; `train.py` and the data sets are left out.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from raygan.bench.settings import mixed_cuts
from raygan.bench.sides.work import Work, tell

WARM_UP_STEPS = 2
NO_CLIENTS = {"num_fashion_clients": 0, "num_kmnist_clients": 0, "num_notmnist_clients": 0}


def main() -> None:
    """Times the steps of the checkout that the second argument names."""
    work, checkout = Work.given(), Path(sys.argv[2])
    with tempfile.TemporaryDirectory(prefix="raygan-published-") as folder:
        models, algorithm = _copied(checkout, Path(folder), work)
        step = _step(models, algorithm, work)
        for _ in range(WARM_UP_STEPS):
            step()
        started = time.perf_counter()
        for _ in range(work.steps):
            step()
        tell(work.steps * work.clients * work.batch_size, time.perf_counter() - started)


def _copied(checkout: Path, folder: Path, work: Work) -> tuple[Any, Any]:
    """Its modules `models` and `HuSCFGAN`, read from the copy, which becomes the current folder."""
    for part in ("models.py", "HuSCFGAN.py"):
        shutil.copy(checkout / part, folder)
    shutil.copytree(checkout / "Cut_Selection", folder / "Cut_Selection")
    settings = yaml.safe_load((checkout / "configs.yaml").read_text())
    settings["clients"] = {"num_digit_clients": work.clients} | NO_CLIENTS
    settings["training"]["batch_size"] = work.batch_size
    (folder / "configs.yaml").write_text(yaml.safe_dump(settings))
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    models = importlib.import_module("models")
    pairs = mixed_cuts(work.config())
    cuts = [[*pairs[n % len(pairs)][0], *pairs[n % len(pairs)][1]] for n in range(work.clients)]
    models.modelCutter.get_flops_and_outputs = lambda: (None,) * 5
    models.CutLayerSelection.get_best_cuts = lambda *_: (cuts, 0.0)
    return models, importlib.import_module("HuSCFGAN")


def _step(models: Any, algorithm: Any, work: Work) -> Any:
    """One step, as the checkout's `train.py` calls it."""
    device = torch.device("cpu")
    g1, g2, server_g, d1, d2, server_d, of_g1, of_g2, of_g, of_d1, of_d2, of_d, *rest = models.get_models(device)
    client_cuts = rest[3]
    images = [torch.rand(work.batch_size, 1, 28, 28) * 2 - 1 for _ in range(work.clients)]
    labels = [torch.randint(0, 10, (work.batch_size,)) for _ in range(work.clients)]

    def step() -> None:
        networks = (g1, g2, server_g, d1, d2, server_d)
        optimizers = (of_g1, of_g2, of_g, of_d2, of_d1, of_d)
        algorithm.train_step(labels, *networks, *optimizers, images, device, client_cuts)

    return step


if __name__ == "__main__":
    main()
