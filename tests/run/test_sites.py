"""Labels of domains count on a cluster only; paths of a site are not this machine's."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.config.loading import absolute_paths, make_config
from raygan.config.schema import DomainConfig
from raygan.errors import ConfigError
from raygan.run.plan import make_plan, planned


def labelled(path: str, labels: dict) -> dict:
    return {"data": {"domains": [{"npz": path, "labels": labels}]}}


def test_a_relative_path_is_made_absolute_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    config = absolute_paths(make_config(labelled("faces.npz", {})))
    assert config.data.domains[0].npz == str(tmp_path / "faces.npz")


def test_a_sites_path_stays_as_it_is() -> None:
    for path in ("/data/faces.npz", "~/faces.npz"):
        assert absolute_paths(make_config(labelled(path, {"site": "a"}))).data.domains[0].npz == path


def test_a_sites_relative_path_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        absolute_paths(make_config(labelled("faces.npz", {"site": "a"})))
    assert str(raised.value) == (
        "data.domains[0].npz: 'faces.npz' is relative, and its labels say that it is on other machines; "
        "give the whole path, as it is there"
    )


def test_domains_with_equal_labels_are_one_key() -> None:
    first, second = (DomainConfig(name="demo_mnist", labels={"site": "a"}) for _ in range(2))
    assert hash(first) == hash(second)
    assert first == second
    assert first != DomainConfig(name="demo_mnist", labels={"site": "b"})


def test_without_a_cluster_no_actor_asks_for_labels(tiny_settings: dict) -> None:
    domains = [domain | {"labels": {"site": "a"}} for domain in tiny_settings["data"]["domains"]]
    with planned(make_config(tiny_settings | {"data": {"domains": domains}}), in_process=True) as plan:
        assert [worker.labels for worker in plan.layout.workers] == [{}] * len(plan.layout.workers)


def test_a_host_has_clients_of_one_site(tiny_settings: dict) -> None:
    domains = [
        domain | {"labels": {"site": site}} for domain, site in zip(tiny_settings["data"]["domains"], "ab", strict=True)
    ]
    settings = tiny_settings | {
        "data": {"domains": domains},
        "devices": tiny_settings["devices"] | {"fleet": ["small"]},
        "cuts": {},
        "ray": {"clients_per_actor": 6},
    }
    workers = make_plan(make_config(settings)).layout.workers
    assert [(worker.labels["site"], worker.ids) for worker in workers] == [("a", (0, 1, 2)), ("b", (3, 4, 5))]
