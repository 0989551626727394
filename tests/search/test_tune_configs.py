"""Every search that ships: read, validated, sampled; each key of its space changes the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.config.loading import changed_config
from raygan.search.checks import check_space
from raygan.search.search import Search, read_search
from raygan.search.tuner import check_search

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tune_configs").glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def shipped(request: pytest.FixtureRequest) -> Search:
    return read_search(request.param)


def test_there_are_the_six() -> None:
    names = {"cluster_count", "compare_smoke", "findings_scenario_5_small", "joint", "smoke", "split_search"}
    assert {path.stem for path in FILES} == names


def test_it_can_run(shipped: Search) -> None:
    checked = check_search(shipped)
    assert checked.num_trials > 1
    assert checked.needs["body"] == 1


def test_its_points_are_configurations(shipped: Search) -> None:
    configs = [shipped.config_of(shipped.sample(number)) for number in range(5)]
    assert all(config.seed == shipped.config.seeds[0] for config in configs)


def test_every_key_changes_the_configuration(shipped: Search) -> None:
    for key, domain in shipped.config.space.items():
        found = [changed_config(shipped.base, [(key, domain.value(label))]) for label in domain.probes]
        assert len({config.model_dump_json() for config in found}) == len(domain.probes), key


def test_it_is_in_the_list(shipped: Search) -> None:
    assert f"`{shipped.name}.yaml`" in (ROOT / "tune_configs" / "README.md").read_text()


def test_a_key_that_changes_nothing_is_found(searching) -> None:
    with pytest.raises(ValueError, match="gives the same configuration as"):
        check_space(searching("space.data.partition={grid: {one: iid, other: iid}}"))
