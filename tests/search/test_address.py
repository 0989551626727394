"""Where a search runs is found out once, in the process that starts it; the trials read it in the search's file."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from raygan.search import tuner
from raygan.search.bundles import trial_demands
from raygan.search.search import read_search
from raygan.search.trial import SEARCH_FILE
from raygan.search.tuner import check_search, resume_search, run_search

ADDRESS = "10.0.0.1:6379"


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Searches that start nothing, on a machine with one core."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(tuner, "_ray", lambda *arguments: nullcontext())
    monkeypatch.setattr(tuner, "_tuner", lambda *arguments: SimpleNamespace(fit=lambda: None))


def actors_of_a_trial(folder: Path) -> list[str]:
    """As the trial itself finds them, in a process with another environment."""
    search = read_search(folder / SEARCH_FILE)
    demands = trial_demands(search.config_of(search.points()[0]), search.config.resources, False)
    return [demand.name for demand in demands if demand.name.startswith("client")]


@pytest.mark.usefixtures("no_ray")
def test_trials_know_the_address_in_the_drivers_environment(
    searching, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", ADDRESS)
    run_search(check_search(searching("base.ray.clients_per_actor=auto")), tmp_path / "search")
    monkeypatch.delenv("RAY_ADDRESS")
    assert actors_of_a_trial(tmp_path / "search") == ["client-00 small", "client-01 small"], "one client an actor"


@pytest.mark.usefixtures("no_ray")
def test_trials_know_the_address_of_a_search_that_goes_on(searching, tmp_path: Path) -> None:
    run_search(check_search(searching("base.ray.clients_per_actor=auto")), tmp_path / "search")
    assert actors_of_a_trial(tmp_path / "search") == ["clients-00,01 small"], "one actor for one core"
    resume_search(tmp_path / "search", ADDRESS)
    assert actors_of_a_trial(tmp_path / "search") == ["client-00 small", "client-01 small"]
