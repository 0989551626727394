"""D's blocks on clients are nobody else's: what they begin with, what crosses and what is kept; averages are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.algorithms.base import Back
from raygan.algorithms.clustered_fed_gan import ClusteredFedGan
from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.errors import ConfigError, RunError
from raygan.names import BlockKey
from raygan.nn.start import initial_networks
from raygan.run.plan import make_plan
from raygan.runtime.in_process import LocalHandle
from raygan.secure.fixed_point import STEP
from raygan.secure.secret import Secret
from raygan.whole.observed import ObservedClients
from raygan.wire.records import Assignment, SealedAverage
from tests.run.test_resume import Interrupt, arrays_of_round
from tests.secure.federated import ALGORITHMS, Whole, federated, settings_of
from tests.split.canaries import Search, serialized

Blocks = dict[int, dict[str, np.ndarray]]
"""Of D, by index."""


def hidden(settings: Mapping[str, Any], keys: Path) -> dict[str, Any]:
    return {**settings, "privacy": {"secure_aggregation": True, "hide_discriminator": True, "keys": str(keys)}}


@pytest.fixture
def one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run draws the same, so that two can be compared."""
    monkeypatch.setattr(Secret, "drawn", classmethod(lambda cls: cls(bytes(range(32)))))


def clients_of(one: Whole) -> dict[int, Any]:
    return {number: client for h in one.backend.workers.values() for number, client in h._party._clients.items()}  # type: ignore[attr-defined]


def blocks_of_d(client: Any) -> Blocks:
    """What a client holds of D."""
    return {
        index: {name: x.detach().numpy().copy() for name, x in block.state_dict().items()}
        for (network, index), block in client.blocks.items()
        if network == "discriminator"
    }


def begin_alike(first: Mapping[int, Blocks], openly: Mapping[BlockKey, Any]) -> None:
    """All clients have the same D, whose entries are those of the run's seed in another order."""
    for blocks in first.values():
        for index, block in blocks.items():
            seeds = {name: x.detach().numpy() for name, x in openly["discriminator", index].named_parameters()}
            for name in (name for name in seeds if block[name].size >= 64):
                assert not np.array_equal(block[name], seeds[name]), "not what the run's seed tells"
                assert sorted(block[name].flat) == sorted(seeds[name].flat), "but distributed alike"
                assert np.array_equal(block[name], first[0].get(index, block)[name]), "the same for all"


def are_means(
    after: Mapping[int, Blocks], members: Iterable[int], before: Mapping[int, Blocks], weights: Mapping[int, float]
) -> None:
    """Each client's blocks are their holders' weighted mean."""
    for index, block in ((index, block) for blocks in after.values() for index, block in blocks.items()):
        holders = [other for other in members if index in before[other]]
        whole = sum(weights[other] for other in holders)
        for name, array in block.items():
            mean = sum(weights[other] / whole * before[other][index][name].astype(np.float64) for other in holders)
            expected = np.rint(mean) if array.dtype.kind == "i" else mean
            np.testing.assert_allclose(array, expected, rtol=2.0**-22, atol=6 * STEP)


@pytest.mark.parametrize(
    "algorithm",
    [pytest.param(name, marks=() if name in ("huscf", "fed_gan") else pytest.mark.slow) for name in ALGORITHMS],
)
def test_clients_have_the_weighted_mean_and_nobody_else(
    tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str
) -> None:
    """A wiretap on every call of every party finds neither what D's ends were nor what they became."""
    settings = settings_of(tiny_settings, algorithm) | {"fed_gan": None}
    tapped: list[bytes] = []
    before: dict[int, Blocks] = {}
    weights: dict[int, float] = {}
    submit = LocalHandle.submit

    def tap(self: LocalHandle, method: str, count: int, arguments: Any) -> Any:
        if method == "survivors":
            arguments = [*arguments[:-1], list(arguments[-1])]
        answers = submit(self, method, count, arguments)
        tapped.append(serialized([list(arguments), answers]))
        return answers

    with federated(hidden(settings, tmp_path / "keys")) as one:
        spec, config = one.plan.layout.spec, one.plan.config
        openly = initial_networks(spec, config).blocks
        first = {number: blocks_of_d(client) for number, client in clients_of(one).items()}
        begin_alike(first, openly)
        worker_type = one.plan.algorithm.worker_type
        mask, load = worker_type.mask, worker_type.load  # type: ignore[attr-defined]

        @wraps(mask)
        def remembering(self: Any, session: str, given: Any, dealt: Any) -> Any:
            for number, client in self._clients.items():
                if number in given and any(key[0] == "sealed" for key in self._sums.members[session, number]._blocks):
                    before[number], weights[number] = blocks_of_d(client), given[number]
            return mask(self, session, given, dealt)

        monkeypatch.setattr(worker_type, "mask", remembering)
        monkeypatch.setattr(LocalHandle, "submit", tap)
        result = one.round()
        after = {number: blocks_of_d(client) for number, client in clients_of(one).items()}
        assert load is worker_type.load  # type: ignore[attr-defined]
    for model in result.models.values():
        members = range(6) if algorithm == "hierarchical" else model.clients
        are_means({client: after[client] for client in model.clients}, members, before, weights)
        sealed = [block for block in model.blocks.values() if isinstance(block, SealedAverage)]
        assert {block.block[1] for block in sealed} == {index for blocks in after.values() for index in blocks}
    patterns = {
        f"{when} {client} {index} {name}": array.tobytes()[:64]
        for when, states in (("first", first), ("before", before), ("after", after))
        for client, blocks in states.items()
        for index, block in blocks.items()
        for name, array in block.items()
        if array.size >= 64
    }
    assert len(patterns) > 30
    assert Search(b"".join(tapped)).found(patterns) == []


def test_clients_that_change_their_cluster_read_the_sums_of_the_new_one(
    tiny_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks and pads are a session's: nothing of them is left from the round before, and no cluster has its own."""
    settings = settings_of(tiny_settings, "clustered_fed_gan")
    weights = {0: 0.5, 1: 0.3, 2: 0.2, 3: 0.6, 4: 0.3, 5: 0.1}
    for_two, sessions, before = weights | {2: 0.6, 3: 0.2}, list[str](), dict[int, Blocks]()
    rounds = [({c: c // 3 for c in range(6)}, weights), ({0: 0, 1: 0, 3: 0, 2: 1, 4: 1, 5: 1}, for_two)]
    assigned = [Assignment(cluster, dict.fromkeys(cluster, 0.0), of, of) for cluster, of in rounds]
    monkeypatch.setattr(ClusteredFedGan, "cluster_and_weigh", lambda self, _, cohort, *more: assigned[cohort.round])
    mask = ObservedClients.mask

    def remembering(self: Any, session: str, given: Any, dealt: Any) -> Any:
        sessions.append(session)
        before.update({number: blocks_of_d(client) for number, client in self._clients.items()})
        return mask(self, session, given, dealt)

    monkeypatch.setattr(ObservedClients, "mask", remembering)
    with federated(hidden(settings, tmp_path / "keys")) as one:
        for number, (cluster, of) in enumerate(rounds):
            before.clear()
            one.round(number, steps=1)
            after = {client: blocks_of_d(mine) for client, mine in clients_of(one).items()}
            for name in (0, 1):
                members = [client for client in cluster if cluster[client] == name]
                are_means({client: after[client] for client in members}, members, before, of)
    assert len(set(sessions)) == 4, "one a cluster and round"


def test_files_are_sealed_and_a_resumed_run_is_the_same(
    tiny_settings: dict[str, Any], tmp_path: Path, one_secret: None
) -> None:
    keys = tmp_path / "keys"
    config = make_config(hidden(tiny_settings, keys))
    whole = train(config, tmp_path / "whole", in_process=True).path
    (key,) = keys.iterdir()
    assert key.read_bytes() == bytes(range(32))
    assert key.stat().st_mode & 0o777 == 0o600
    names = arrays_of_round(whole, 1).keys()
    of_clients = [name for name in names if name.startswith("client-")]
    assert not [name for name in of_clients if "discriminator" in name]
    assert {name.split("/")[1] for name in of_clients if "hidden" in name} == {"hidden.secret", "hidden.arrays"}
    of_d = [name.split("/discriminator.")[1] for name in names if name.startswith("cluster-") and "/disc" in name]
    assert not {name[0] for name in of_d} & {"0", "4"}, "D's first and last block are on every client"

    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", in_process=True, listener=Interrupt(1, 1))
    key.rename(tmp_path / "elsewhere")
    with pytest.raises(RunError, match=r"\.key: is not here, and the client's discriminator is sealed under it"):
        resume(tmp_path / "run", in_process=True)
    moved = tmp_path / "moved" / key.name
    moved.parent.mkdir()
    (tmp_path / "elsewhere").rename(moved)
    resume(tmp_path / "run", changes=[f"privacy.keys={moved.parent}"], in_process=True)
    both = (arrays_of_round(path, 2) for path in (whole, tmp_path / "run"))
    ends = [{name: array for name, array in one.items() if "hidden." not in name} for one in both]
    assert ends[0] == ends[1]


def test_a_new_worker_is_handed_the_secret_and_takes_over_the_average(
    tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    with federated(hidden(settings_of(tiny_settings, "clustered_fed_gan"), tmp_path / "keys")) as one:
        result = one.round()
        expected = blocks_of_d(clients_of(one)[0])
        one.backend.restart_worker(0)
        assert one.backend.workers[0]._party._secret is None  # type: ignore[attr-defined]
        ids = one.plan.layout.workers[0].ids
        answer = one.plan.algorithm.rejoin(one.federation, result, Back(0, ids, True, None))
        assert one.federation.fetch([answer]) == [None]  # type: ignore[list-item]
        for index, block in blocks_of_d(clients_of(one)[0]).items():
            for name, array in block.items():
                np.testing.assert_array_equal(array, expected[index][name])
    assert len(list((tmp_path / "keys").iterdir())) == 1, "one secret of the run"


def test_what_would_tell_it_is_refused(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    alone = {"privacy": {"hide_discriminator": True}}
    with pytest.raises(ConfigError, match=r"privacy\.hide_discriminator: true without privacy\.secure_aggregation"):
        make_plan(make_config(tiny_settings | alone))
    model = tiny_settings["model"] | {"start_from": str(tmp_path / "a.safetensors")}
    with pytest.raises(ConfigError, match=r"whose D everybody can read, beside privacy\.hide_discriminator"):
        make_plan(make_config(hidden(tiny_settings | {"model": model}, tmp_path)))


def test_labels_of_fakes_are_even(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    assert make_plan(make_config(hidden(tiny_settings, tmp_path))).config.training.fake_labels == "even"
    assert make_plan(make_config(tiny_settings)).config.training.fake_labels == "own"
    own = tiny_settings | {"training": tiny_settings["training"] | {"fake_labels": "own"}}
    with pytest.raises(ConfigError, match=r"'own' beside privacy\.hide_discriminator tells its own; set it to even"):
        make_config(hidden(own, tmp_path))
