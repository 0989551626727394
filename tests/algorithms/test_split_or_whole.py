"""One client, split and whole: the method and the baselines train the same networks, whatever is chosen for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.run.plan import make_plan
from tests.checkpoint_files import checkpoint_states

OPTIONS: dict[str, dict[str, Any]] = {
    "augmented, evenly labelled projection": {
        "model": {"networks": "projection"},
        "training": {"augment": ["translation", "colour"], "fake_labels": "even"},
    },
    "spectrally normed residual, relativistic": {
        "model": {"networks": "residual", "spectral_norm": True},
        "training": {"loss": "relativistic"},
    },
}
CUTS = {"large": {"generator": [0, 0], "discriminator": [0, 0]}}


def trained(settings: dict, algorithm: str, options: dict, folder: Path) -> dict[str, np.ndarray]:
    """Parameters, buffers and moments of both networks after a round of three steps."""
    domain = settings["data"]["domains"][0] | {"clients": 1, "limit": 24}
    chosen = {
        "algorithm": algorithm,
        "data": {"domains": [domain]},
        "training": {"rounds": 1, "batch_size": 8} | options["training"],
        "model": settings["model"] | options["model"],
        "devices": settings["devices"] | {"fleet": ["large"]},
        "clusters": {"count": 1},
        "cuts": {"solver": "fixed", "fixed": CUTS, "bodies": "shared"},
        "evaluation": {"every": 9, "images": 4},
    }
    run = train(make_config(settings | chosen), folder / algorithm, in_process=True)
    states = checkpoint_states(run.path / "checkpoints" / "round-0001").items()
    return {name.partition("/")[2]: array for name, array in states if name.startswith(("client-", "body/"))}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_one_client_is_the_same_split_and_whole(tiny_settings: dict, tmp_path: Path, options: dict) -> None:
    split = trained(tiny_settings, "huscf", options, tmp_path)
    for algorithm in ("local", "central"):
        whole = trained(tiny_settings, algorithm, options, tmp_path)
        assert whole.keys() == split.keys()
        for name, array in whole.items():
            if "adam" not in name:
                np.testing.assert_allclose(array, split[name], rtol=1e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize(
    ("algorithm", "training", "message"),
    [
        (
            "huscf",
            {"r1": 2},
            "training.r1: 2, but algorithm huscf cuts D: a gradient of a gradient would have to cross",
        ),
        (
            "ua_gan",
            {"loss": "relativistic"},
            "training.loss: relativistic compares fakes with reals, which algorithm ua",
        ),
        ("fed_split_gan", {"loss": "relativistic"}, "training.loss: relativistic compares fakes with reals"),
    ],
)
def test_a_loss_that_the_algorithm_cannot_compute_is_refused(
    tiny_settings: dict, algorithm: str, training: dict, message: str
) -> None:
    settings = tiny_settings | {"algorithm": algorithm, "training": tiny_settings["training"] | training}
    with pytest.raises(ConfigError, match=message):
        make_plan(make_config(settings))
