"""Who takes part. Whose average the others take over: `tests/algorithms/test_identities.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.run.engine import sample_clients
from tests.run.test_resume import arrays_of_round


def config(settings: dict, **training: object) -> Config:
    return make_config(settings | {"training": settings["training"] | training})


def test_a_share_is_drawn_anew_for_each_round_and_evenly(tiny_settings: dict) -> None:
    half = config(tiny_settings, participation=0.5)
    drawn = [sample_clients(range(6), half, number) for number in range(400)]
    assert {len(clients) for clients in drawn} == {3}
    assert drawn == [sample_clients(range(6), half, number) for number in range(400)]
    counts = [sum(client in clients for clients in drawn) for client in range(6)]
    assert min(counts) > 160, "200 expected, 10 is the standard deviation"
    assert len(set(drawn)) > 10


def test_all_take_part_by_default_and_those_set_aside_never(tiny_settings: dict) -> None:
    assert sample_clients(range(6), config(tiny_settings), 3) == (0, 1, 2, 3, 4, 5)
    assert sample_clients([0, 4], config(tiny_settings, participation=0.5), 3) == (0, 4)


def test_more_clients_than_take_part_cannot_be_needed(tiny_settings: dict) -> None:
    with pytest.raises(ConfigError, match=r"training.min_clients: 4 of 3 clients in a round; lower"):
        config(tiny_settings, participation=0.5, min_clients=4)


@pytest.mark.slow
def test_actors_and_one_process_agree_on_a_share_of_the_clients(tiny_settings: dict, tmp_path: Path) -> None:
    settings = config(tiny_settings, participation=0.5, rounds=3)
    in_process = train(settings, tmp_path / "in_process", in_process=True)
    local = settings.model_copy(update={"ray": settings.ray.model_copy(update={"address": "local"})})
    actors = train(local, tmp_path / "actors")
    assert arrays_of_round(actors.path, 3) == arrays_of_round(in_process.path, 3)


def test_a_run_with_half_of_its_clients_in_each_round(tiny_settings: dict, tmp_path: Path) -> None:
    in_process = train(config(tiny_settings, participation=0.5), tmp_path / "in_process", in_process=True)
    assert in_process.clusters.groupby("round").size().tolist() == [3, 3]
    assert in_process.metrics["images"].tolist() == [3 * 32] * 2
    assert in_process.metrics["clients"].tolist() == [3, 3]
    assert in_process.metrics["late"].tolist() == in_process.metrics["lost"].tolist() == [0, 0]
