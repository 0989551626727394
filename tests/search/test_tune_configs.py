"""Every search that ships: read, validated, sampled; each key of its space changes the configuration."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from raygan.config.choices import ALGORITHMS
from raygan.config.loading import changed_config
from raygan.search.checks import check_space
from raygan.search.search import Search, read_search
from raygan.search.tuner import check_search

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tune_configs").glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def shipped(request: pytest.FixtureRequest) -> Search:
    return read_search(request.param)


def test_all_are_there() -> None:
    searches = {"cluster_count", "clustering_seeds", "compare_smoke", "findings_colour_64", "joint", "smoke"}
    scenarios = {f"findings_scenario_{number}{size}" for number in range(1, 7) for size in ("", "_small")}
    more = {"split_search", "options_demo", "options_colour_64", "bytes_demo"}
    assert {path.stem for path in FILES} == searches | more | scenarios


def test_it_can_run(shipped: Search) -> None:
    """Where its data ships with raygan, it is planned; where it has to be fetched, its configurations are checked."""
    domains = shipped.config_of(shipped.sample(0)).data.domains
    if all((domain.name or "").startswith("demo_") for domain in domains):
        checked = check_search(shipped)
        assert checked.num_trials > 1
        assert ("body" in checked.needs) != shipped.config.in_process
    else:
        assert len(check_space(shipped)) == len(shipped.points()) > 1


def test_findings_compare_every_algorithm_in_the_scenario_that_they_name() -> None:
    for path in FILES:
        if path.stem.startswith("findings_scenario"):
            search = read_search(path)
            configs = [search.config_of(point) for point in search.points()]
            assert {config.algorithm for config in configs} == set(ALGORITHMS), path
            assert {config.scenario for config in configs} == {int(path.stem.split("_")[2])}


def test_its_points_are_configurations(shipped: Search) -> None:
    configs = [shipped.config_of(shipped.sample(number)) for number in range(5)]
    assert all(config.seed == shipped.config.seeds[0] for config in configs)


def test_every_key_changes_the_configuration(shipped: Search) -> None:
    for key, domain in shipped.config.space.items():
        found = [changed_config(shipped.base, [(key, domain.value(label))]) for label in domain.probes]
        assert len({config.model_dump_json() for config in found}) == len(domain.probes), key


def test_it_is_in_the_list(shipped: Search) -> None:
    first = re.sub(r"scenario_\d", "scenario_1", shipped.name)  # the six scenarios have one row
    assert f"`{first}.yaml`" in (ROOT / "tune_configs" / "README.md").read_text()


def test_a_key_that_changes_nothing_is_found(searching) -> None:
    with pytest.raises(ValueError, match="gives the same configuration as"):
        check_space(searching("space.data.partition={grid: {one: iid, other: iid}}"))
