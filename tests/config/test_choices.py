"""What is chosen by name: every name has its code, and another name is refused in one line."""

from __future__ import annotations

import pytest

from raygan.config.choices import (
    AGGREGATIONS,
    AUGMENTATIONS,
    CLUSTERINGS,
    LOSSES,
    NETWORKS,
    SCHEDULES,
    WEIGHTINGS,
    chosen,
)
from raygan.config.loading import make_config
from raygan.errors import ConfigError

EVERY = [LOSSES, NETWORKS, AUGMENTATIONS, SCHEDULES, CLUSTERINGS, WEIGHTINGS, AGGREGATIONS]


@pytest.mark.parametrize("choices", EVERY)
def test_every_name_has_its_code(choices: dict) -> None:
    for name in choices:
        assert chosen(choices, name) is not None


@pytest.mark.parametrize(
    ("key", "choices"),
    [
        ("training.loss", LOSSES),
        ("training.lr_schedule", SCHEDULES),
        ("clusters.weighting", WEIGHTINGS),
        ("clusters.aggregation", AGGREGATIONS),
    ],
)
def test_another_name_is_refused(key: str, choices: dict) -> None:
    assert refusal(key, "none such") == f"{key}: unknown name 'none such'; use one of {', '.join(choices)}"


def test_a_path_may_stand_where_a_name_does() -> None:
    remedy = "use one of kmeans or give package.module:function"
    assert refusal("clusters.clustering", "none such") == f"clusters.clustering: unknown name 'none such'; {remedy}"
    assert make_config({"clusters": {"clustering": "mine:rule"}}).clusters.clustering == "mine:rule"


def test_the_nearest_name_is_told() -> None:
    assert refusal("training.loss", "bec") == "training.loss: unknown name 'bec'; did you mean 'bce'?"


def refusal(key: str, name: str) -> str:
    section, _, field = key.partition(".")
    with pytest.raises(ConfigError) as refused:
        make_config({section: {field: name}})
    return str(refused.value)
