"""Clients that join a run that goes on, or leave it: everybody else keeps number, images and networks."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from raygan.algorithms.base import ServerState
from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.data import load_client
from raygan.errors import InputError
from raygan.parties.evaluator import Evaluator
from raygan.run.engine import Engine
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.joining import serves_now, state_after
from raygan.run.plan import make_plan
from raygan.run.scoring import evaluator_plan
from raygan.run.stored import Run
from raygan.runtime.in_process import InProcessBackend
from raygan.storage import read_arrays
from tests.checkpoint_files import checkpoint_states
from tests.rounds import rounds_of
from tests.run.test_going_on import assert_refused, content
from tests.run.test_resume import Interrupt, arrays_of_round

MORE = "data.domains.0.clients=2"


@pytest.fixture(scope="module")
def settings(tiny_settings: dict[str, Any]) -> dict[str, Any]:
    """Two domains of one client each, which have four minibatches of the eight that there are; three rounds, the last
    two in clusters with bodies of their own."""
    domains = [{**domain, "clients": 1} for domain in tiny_settings["data"]["domains"]]
    return tiny_settings | {
        "data": {"domains": domains, "images_per_client": 16},
        "cuts": {"solver": "fixed", "fixed": tiny_settings["cuts"]["fixed"]},
        "training": {"rounds": 3, "batch_size": 8, "lr": 5e-4},
        "evaluation": {"images": 8, "every": 9},
        "checkpoints": {"keep": None},
    }


@pytest.fixture(scope="module")
def ended(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(make_config(settings), tmp_path_factory.mktemp("ended") / "run", in_process=True).path


@pytest.fixture(scope="module")
def third(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> str:
    """Another domain, which looks like the second: its change that adds it to a run."""
    source = settings["data"]["domains"][1]["npz"]
    place = shutil.copy(source, tmp_path_factory.mktemp("third") / "third.npz")
    return f"data.domains.2={{npz: {place}, clients: 2}}"


@pytest.fixture
def run(ended: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(ended, tmp_path / "run"))


def clients_of(path: Path) -> list[dict[str, int]]:
    """Of each round: client -> cluster."""
    lines = (path / "clusters.jsonl").read_text().splitlines()
    return [{client: entry["cluster"] for client, entry in json.loads(line)["clients"].items()} for line in lines]


def test_a_new_client_has_the_model_of_most_of_its_domain_or_else_of_most() -> None:
    domains = {0: 0, 1: 0, 2: 0, 3: 1, 4: 1, 6: 0, 7: 1, 8: 2}  # 5 has left; 6, 7 and 8 are new
    assert serves_now({0: 1, 1: 1, 2: 0, 3: 2, 4: 2, 5: 0}, domains) == {
        0: 1, 1: 1, 2: 0, 3: 2, 4: 2, 6: 1, 7: 2, 8: 1
    }  # fmt: skip
    assert serves_now({0: 3, 1: 2}, {2: 1}) == {2: 2}  # nobody has stayed: of several the first


def test_a_domain_joins_beginning_with_the_largest_cluster_and_new_optimizers(
    settings: dict[str, Any], run: Path, third: str
) -> None:
    before = checkpoint_states(run / "checkpoints" / "round-0003")
    found = resume(run, changes=["training.rounds=5", third], in_process=True)
    assert found.config.data.joined[0].model_dump() == {"domain": 2, "clients": 2, "after_round": 3}
    assert [sorted(clients) for clients in clients_of(run)] == [["0", "1"]] * 3 + [["0", "1", "2", "3"]] * 2
    lines = rounds_of(run)
    assert [line["clients"] for line in lines] == [2, 2, 2, 4, 4]
    assert lines[3]["faults"] == ["clients-02, 03 (third) joined, beginning with cluster 0"]
    assert len(json.loads((run / "domains.json").read_text())) == 3
    assert [entry["client"] for entry in json.loads((run / "cuts.json").read_text())["clients"]] == [0, 1, 2, 3]
    assert list(found.summary["scores"]) == ["domain0", "domain1", "third"]
    after = checkpoint_states(run / "checkpoints" / "round-0003")
    assert before.keys() == after.keys()  # what was before is as it was
    plan = make_plan(found.config)
    manifest = found._checkpoints.of(2).manifest()
    state = state_after(manifest, ServerState(), plan.layout)
    assert state.serves == {0: 0, 1: 1, 2: 0, 3: 0}
    files = manifest.sources("cluster", state.serves, plan.layout.ids)
    assert [files[client] for client in (2, 3)] == ["cluster-0.safetensors"] * 2
    assert all(files[client].startswith("clients-") for client in (0, 1))


def test_rounds_before_anybody_joins_and_images_of_who_stays_are_as_they_were(
    settings: dict[str, Any], run: Path
) -> None:
    first = make_plan(make_config(settings))
    found = resume(run, changes=["training.rounds=4", MORE], in_process=True)
    plan = make_plan(found.config)
    before = [load_client(client.data).images.tobytes() for client in first.layout.clients]
    after = [load_client(client.data).images.tobytes() for client in plan.layout.clients]
    assert after[:2] == before
    assert len(set(after)) == 3
    assert [client.data.domain_index for client in plan.layout.clients] == [0, 1, 0]
    assert plan.layout.clients[2].profile == "large"
    assert rounds_of(run)[3]["faults"] == ["client-02 (domain0) joined, beginning with cluster 0"]


def test_an_interruption_after_clients_joined_changes_nothing(run: Path, third: str, tmp_path: Path) -> None:
    """Before the first checkpoint with them, and after it."""
    whole = Path(shutil.copytree(run, tmp_path / "whole"))
    changes = ["training.rounds=5", third, MORE, "data.left=[1]"]
    resume(whole, changes=changes, in_process=True)
    for number in (3, 4):
        with pytest.raises(KeyboardInterrupt):
            resume(run, changes=changes if number == 3 else (), in_process=True, listener=Interrupt(number, 1))
    resume(run, in_process=True)
    assert arrays_of_round(run, 5) == arrays_of_round(whole, 5)
    assert rounds_of(run)[3:] == rounds_of(whole)[3:]
    assert sorted(clients_of(run)[4]) == ["0", "2", "3", "4"]


def test_who_leaves_is_in_no_average_and_its_data_is_not_looked_for(
    settings: dict[str, Any], run: Path, tmp_path: Path
) -> None:
    gone = f"data.domains.1.npz={tmp_path / 'gone.npz'}"
    found = resume(run, changes=["training.rounds=4", MORE, "data.left=[1]", gone], in_process=True)
    assert clients_of(run)[3].keys() == {"0", "2"}
    assert rounds_of(run)[3]["faults"] == ["client-02 (domain0) joined, beginning with cluster 0", "client-01 left"]
    assert list(found.summary["scores"]) == ["domain0"]
    assert found.domain_of == {0: 0, 1: 1, 2: 0}
    names = checkpoint_states(run / "checkpoints" / "round-0004")
    assert not [name for name in names if name.startswith("client-1/")]
    with pytest.raises(InputError, match=r"gone\.npz"):
        resume(run, changes=["training.rounds=5", "data.left=[]"], in_process=True)
    back = settings["data"]["domains"][1]["npz"]
    resume(run, changes=["training.rounds=5", "data.left=[]", f"data.domains.1.npz={back}"], in_process=True)
    assert clients_of(run)[4].keys() == {"0", "1", "2"}
    assert rounds_of(run)[4]["faults"][0].startswith("client-01 (domain1) joined, beginning with cluster ")


@pytest.mark.parametrize("algorithm", ["fed_gan", "clustered_fed_gan", "fed_split_gan"])
def test_every_algorithm_that_averages_clients_takes_new_ones(
    settings: dict[str, Any], algorithm: str, third: str, tmp_path: Path
) -> None:
    alike = {key: value for key, value in settings.items() if key not in ("cuts", "clusters")}
    short = alike | {"algorithm": algorithm, "training": settings["training"] | {"rounds": 1}}
    path = train(make_config(short), tmp_path / "run", in_process=True).path
    found = resume(path, changes=["training.rounds=2", third, "data.left=[1]"], in_process=True)
    assert [line["clients"] for line in rounds_of(path)] == [2, 3]
    assert found.membership(2).keys() == {0, 2, 3}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([MORE], "training.rounds: 3, and all are done: there is no round that clients could join or leave; raise it"),
        (["data.domains.0.clients=99"], "data.domains[0] (domain0): 98 more clients, but "),
        (["seed=5", MORE], "seed 5 instead of 0"),
        (["data.left=[2]"], "data.left: there is no client 2; give numbers from 0 to 1"),
        (["data.left=[1]"], "clusters.count: 2 clusters for 1 clients"),
        (["data.left=[0,1]"], "data.left: every client has left; leave one at least"),
        (
            ["data.joined=[{domain: 0, clients: 1, after_round: 1}]"],
            "data.joined: is not as the run wrote it; put it back",
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_touches_nothing(run: Path, changes: list[str], message: str) -> None:
    rounds = [] if changes == [MORE] else ["training.rounds=4"]
    assert_refused(run, message, *rounds, *changes)


def test_domains_stay_in_the_list_and_who_leaves_is_named(run: Path, ended: Path) -> None:
    first, second = Run.load(ended).config.data.domains
    remedy = "keep all of them, and name who leaves: data.left=[1]"
    assert_refused(run, remedy, "clusters.count=1", f"data.domains=[{{npz: {first.npz}, clients: 1}}]")
    remedy = "keep all of them, and name who leaves: data.left=[0]"
    assert_refused(run, remedy, "clusters.count=1", f"data.domains=[{{npz: {second.npz}, clients: 1}}]")
    resume(run, changes=["training.rounds=4", MORE], in_process=True)
    message = "data.domains.0.clients: 1 instead of 2; keep it, and name who leaves: data.left=[2]"
    assert_refused(run, message, "training.rounds=5", "data.domains.0.clients=1")


def test_a_domain_of_other_classes_fits_no_run(settings: dict[str, Any], run: Path) -> None:
    """Demo digits have ten classes, the run's domains two."""
    before = content(run)
    message = "data.domains[2]: makes it 10 classes and grey images, but the run's networks are for"
    with pytest.raises(InputError) as refused:
        resume(run, changes=["training.rounds=4", "data.domains.2={name: demo_mnist}"], in_process=True)
    assert message in str(refused.value)
    assert content(run) == before


def test_who_cannot_be_given_an_average_cannot_join(settings: dict[str, Any], tmp_path: Path, third: str) -> None:
    alike = {key: value for key, value in settings.items() if key not in ("cuts", "clusters")}
    short = alike | {"algorithm": "local", "training": settings["training"] | {"rounds": 1}}
    path = train(make_config(short), tmp_path / "run", in_process=True).path
    message = "clients join or leave, but local averages no clients that new ones could begin with"
    assert_refused(path, message, "training.rounds=2", third)


def test_networks_of_the_new_are_those_of_the_cluster(run: Path, third: str) -> None:
    """As the engine loads them, before their first round."""
    model = read_arrays(run / "checkpoints" / "round-0003" / "cluster-0.safetensors")
    with pytest.raises(KeyboardInterrupt):
        resume(run, changes=["training.rounds=4", third], in_process=True, listener=Interrupt(3, 0))
    plan = make_plan(Run.load(run).config)
    evaluator = partial(Evaluator, evaluator_plan(plan.config, plan.shape, plan.layout.spec, None))
    with closing(InProcessBackend(plan.algorithm.parties(), plan.config, evaluator)) as backend:
        Engine(plan, RunFolder(run), backend, Listener())._restore(3)
        workers = [(worker.ids, backend.workers[worker.worker]) for worker in plan.layout.workers]
        states = {
            client: state for ids, handle in workers for client, state in zip(ids, handle._party.state(), strict=True)
        }
        clients = {client: own for _, handle in workers for client, own in handle._party._clients.items()}
    for client in (2, 3):
        for (network, index), block in states[client].blocks.items():
            assert all((array == model[f"{network}.{index}.{name}"]).all() for name, array in block.items())
    moments = {client: [name for name in own.arrays() if name.startswith("adam")] for client, own in clients.items()}
    assert moments[0]
    assert not moments[2] + moments[3]


@pytest.mark.parametrize("algorithm", ["huscf", "fed_gan"])
def test_who_joins_is_in_the_secure_sums_and_who_leaves_in_none(
    tiny_settings: dict[str, Any], settings: dict[str, Any], algorithm: str, tmp_path: Path
) -> None:
    """Between two rounds of the same images: averages are those of a run that sums in the open, and what cannot be a sum
    any more is refused before anything is touched."""
    shared = {"cuts": tiny_settings["cuts"], "clusters": {"warmup_rounds": 9}} if algorithm == "huscf" else {}
    alike = {key: value for key, value in settings.items() if key not in ("cuts", "clusters")} | shared
    domains = [{**domain, "clients": 2} for domain in settings["data"]["domains"]]
    training = {**settings["training"], "rounds": 1, "average": None}
    plain = {**alike, "algorithm": algorithm, "data": {**settings["data"], "domains": domains}, "training": training}
    secure = plain | {"privacy": {"secure_aggregation": True}}
    path = train(make_config(secure), tmp_path / "run", in_process=True).path
    assert_refused(path, "of 2 clients there is no sum that hides each", "training.rounds=2", "data.left=[1,2]")
    changes = ["training.rounds=2", "data.domains.0.clients=4", "data.left=[1]"]
    found = resume(path, changes=changes, in_process=True)
    assert found.membership(2).keys() == {0, 2, 3, 4, 5}
    line = rounds_of(path)[1]
    assert line["clients"] == 5
    assert line["links"]["client -> aggregator"]["PublicKeys"]["records"] == 5 * (2 if algorithm == "huscf" else 1)
    assert "State" not in line["links"]["client -> aggregator"]


def test_who_hides_its_discriminator_keeps_its_members(settings: dict[str, Any], third: str, tmp_path: Path) -> None:
    """The secret was agreed upon by those who were there."""
    domains = [{**domain, "clients": 2} for domain in settings["data"]["domains"]]
    alike = {key: value for key, value in settings.items() if key not in ("cuts", "clusters")}
    hiding = {"secure_aggregation": True, "hide_discriminator": True, "keys": str(tmp_path / "keys")}
    short = {**settings["training"], "rounds": 1}
    config = alike | {"algorithm": "fed_gan", "data": {"domains": domains}, "training": short, "privacy": hiding}
    path = train(make_config(config), tmp_path / "run", in_process=True).path
    message = "clients join or leave, but privacy.hide_discriminator is agreed upon by all of them when the run begins"
    assert_refused(path, message, "training.rounds=2", third)


@pytest.mark.slow
def test_actors_have_the_numbers_of_one_process(run: Path, third: str, tmp_path: Path) -> None:
    one = Path(shutil.copytree(run, tmp_path / "one"))
    changes = ["training.rounds=5", third, MORE, "data.left=[1]"]
    resume(one, changes=changes, in_process=True)
    resume(run, changes=changes)
    assert arrays_of_round(run, 5) == arrays_of_round(one, 5)
    assert clients_of(run) == clients_of(one)
