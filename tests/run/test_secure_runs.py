"""Runs whose networks are summed securely: on Ray as in process, members killed in the middle of a sum, and resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygan.api import resume, train
from raygan.config.loading import make_config
from tests.rounds import assert_same_training, rounds_of
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_faults import Injections
from tests.run.test_resume import Interrupt, arrays_of_round
from tests.secure.federated import ALGORITHMS, SECURE, losing, settings_of

__all__ = ["injector"]


@pytest.fixture(scope="module")
def settings(tiny_settings: dict[str, Any]) -> dict[str, Any]:
    """The method on six clients in three actors, a round of warm-up and one of two clusters."""
    return tiny_settings | SECURE


@pytest.fixture(scope="module")
def whole(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in this process, without interruption."""
    return train(make_config(settings), tmp_path_factory.mktemp("whole") / "run", in_process=True).path


def test_a_resumed_run_is_the_run_that_was_not_interrupted(
    settings: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(make_config(settings), tmp_path / "run", in_process=True, listener=Interrupt(1, 1))
    resume(tmp_path / "run", in_process=True)
    assert arrays_of_round(tmp_path / "run", 2) == arrays_of_round(whole, 2)
    assert_same_training(tmp_path / "run", whole)
    told = [fault for line in rounds_of(tmp_path / "run") for fault in line["faults"] if "in no sum" in fault]
    blocks = [fault.split(": ")[-1].removesuffix(" (privacy.secure_aggregation)") for fault in told]
    assert blocks == ["discriminator 3, generator 1", "discriminator 1, generator 3"], "each once"


OTHERS = [name for name in ALGORITHMS if name != "huscf"]


@pytest.mark.parametrize("algorithm", OTHERS)
def test_whatever_is_averaged_a_resumed_run_is_the_same(
    tiny_settings: dict[str, Any], tmp_path: Path, algorithm: str
) -> None:
    """After the first of two rounds, whose clusters may be others."""
    config = make_config(settings_of(tiny_settings, algorithm) | SECURE | {"evaluation": {"images": 8, "every": 9}})
    paths = tmp_path / "whole", tmp_path / "cut"
    train(config, paths[0], in_process=True)
    with pytest.raises(KeyboardInterrupt):
        train(config, paths[1], in_process=True, listener=Interrupt(1, 0))
    resume(paths[1], in_process=True)
    assert arrays_of_round(paths[1], 2) == arrays_of_round(paths[0], 2)
    for line in rounds_of(paths[1]):
        assert "MaskedState" in line["links"]["client -> aggregator"]
        assert "State" not in line["links"]["client -> aggregator"]


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", OTHERS)
@pytest.mark.parametrize(("point", "when"), [("mask", "before"), ("unmask", "after")], ids=["mask", "unmask"])
def test_a_member_of_any_algorithm_is_killed_before_its_upload_or_after(
    small_ray: None,
    injector: FaultInjector,
    tiny_settings: dict[str, Any],
    tmp_path: Path,
    algorithm: str,
    point: str,
    when: str,
) -> None:
    """SIGKILL of an actor of two clients of six when it is asked for its blocks, or once it knows that they are in the
    sum and before it has told its shares: in the first case the two are in no sum, in the second the average is that of
    all. In the next round they are back."""
    quick = {"evaluation": {"images": 8, "every": 9}}
    config = make_config(losing(settings_of(tiny_settings, algorithm)) | SECURE | quick)
    injections = Injections(injector, {0: Injection("client", point, when, name="clients-00")})
    run = train(config, tmp_path / "run", listener=injections)
    assert run.ended
    assert not injector.armed
    assert injections.told("clients-00", "was lost")
    assert run.metrics["clients"].tolist()[1] == 6
    told = {fault[:9] for fault in rounds_of(run.path)[0]["faults"] if "is in no sum" in fault}
    assert told == ({"client-00", "client-03"} if point == "mask" else set())
    if point == "unmask":
        whole = train(config, tmp_path / "whole", in_process=True).path
        expected, found = arrays_of_round(whole, 1), arrays_of_round(run.path, 1)
        models = [name for name in found if not name.startswith("client-")]
        assert models
        assert {name: found[name] for name in models} == {name: expected[name] for name in models}


@pytest.mark.slow
def test_a_member_that_is_killed_after_its_upload_costs_nothing(
    small_ray: None, injector: FaultInjector, settings: dict[str, Any], whole: Path, tmp_path: Path
) -> None:
    """SIGKILL of an actor of two clients once their masked blocks are in the sum, before it has told its shares: the sum
    is the whole one. Killed before the aggregator has fetched them, they are left out of it."""
    injections = Injections(injector, {0: Injection("client", "unmask", "after", name="clients-00")})
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    assert run.ended
    assert injections.told("clients-00", "was lost")
    models = {name: a for name, a in arrays_of_round(run.path, 1).items() if name.startswith("cluster-")}
    expected = arrays_of_round(whole, 1)
    assert models == {name: expected[name] for name in models}
    told = [fault for fault in rounds_of(run.path)[0]["faults"] if "is in no sum" in fault]
    assert {fault[:9] for fault in told} == {"client-00", "client-03"}, "the body's sum over all came after it"


@pytest.mark.slow
def test_actors_that_hide_d_lose_one_and_go_on(
    small_ray: None, injector: FaultInjector, tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    """A client's new actor is handed the secret before it takes over the average that it could not read without."""
    private = {"privacy": {**SECURE["privacy"], "hide_discriminator": True, "keys": str(tmp_path / "keys")}}
    injections = Injections(injector, {0: Injection("client", "train", name="clients-00")})
    config = make_config(settings_of(tiny_settings, "fed_gan") | private)
    run = train(config, tmp_path / "run", listener=injections)
    assert run.ended
    assert injections.told("clients-00", "was lost")
    assert run.metrics["clients"].tolist()[1] == 6
    assert len(list((tmp_path / "keys").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_actors_compute_the_same(
    small_ray: None, tiny_settings: dict[str, Any], tmp_path: Path, algorithm: str
) -> None:
    config = make_config(settings_of(tiny_settings, algorithm) | SECURE)
    here, there = (train(config, tmp_path / name, in_process=name == "here") for name in ("here", "there"))
    assert arrays_of_round(here.path, 2) == arrays_of_round(there.path, 2)
    assert_same_training(there.path, here.path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "injection",
    [
        Injection("client", "share", name="clients-00"),
        Injection("client", "mask", name="clients-00"),
        Injection("client", "mask", "after", name="clients-00"),
        Injection("client", "unmask", name="clients-00"),
        Injection("aggregator", "introduce"),
        Injection("aggregator", "survivors"),
        Injection("aggregator", "unmask"),
        Injection("aggregator", "unmask", "after"),
    ],
    ids=str,
)
def test_whoever_is_killed_in_a_sum_the_run_goes_on(
    small_ray: None, injector: FaultInjector, settings: dict[str, Any], tmp_path: Path, injection: Injection
) -> None:
    run = train(make_config(settings), tmp_path / "run", listener=Injections(injector, {0: injection}))
    assert run.ended
    assert not injector.armed
    assert run.metrics["clients"].tolist()[1] == 6, "everybody is back"
    if injection.kind == "aggregator":
        expected = train(make_config(settings), tmp_path / "whole", in_process=True).path
        assert arrays_of_round(run.path, 2) == arrays_of_round(expected, 2)
