"""What is chosen by name: every name has its code, and another name is refused in one line."""

from __future__ import annotations

import pytest

from raygan.config.choices import AGGREGATIONS, CLUSTERINGS, LOSSES, WEIGHTINGS, chosen
from raygan.config.loading import make_config
from raygan.errors import ConfigError


@pytest.mark.parametrize("choices", [LOSSES, CLUSTERINGS, WEIGHTINGS, AGGREGATIONS])
def test_every_name_has_its_code(choices: dict) -> None:
    for name in choices:
        assert chosen(choices, name) is not None


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("training.loss", "bec", r"training\.loss: unknown name 'bec'; did you mean 'bce'\?"),
        ("training.loss", "hinge_of_ours", r"training\.loss: unknown name 'hinge_of_ours'; use one of bce"),
        (
            "clusters.clustering",
            "spectral",
            r"clusters\.clustering: unknown name 'spectral'; use one of kmeans",
        ),
        ("clusters.weighting", "mmd", r"clusters\.weighting: unknown name 'mmd'; use one of kld"),
        ("clusters.aggregation", "median", r"clusters\.aggregation: unknown name 'median'; use one of holes"),
    ],
)
def test_another_name_is_refused(key: str, name: str, message: str) -> None:
    section, _, field = key.partition(".")
    with pytest.raises(ConfigError, match=f"^{message}$"):
        make_config({section: {field: name}})
