"""One generator on a server: each algorithm against one graph in torch, its swaps and averages, its bytes, its deaths."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raygan.algorithms.md_gan import deranged, num_batches
from raygan.api import train
from raygan.config.loading import make_config
from raygan.data import load_client
from raygan.errors import ConfigError
from raygan.nn.augmentation import draw_transform
from raygan.nn.network import build_networks
from raygan.randomness import stream, torch_seed
from raygan.run.plan import Plan, make_plan
from raygan.served.mixed import MixedClients
from raygan.served.mixing import MixingServer, mixed_logits
from raygan.served.worker import ServedClients
from raygan.storage import read_arrays
from raygan.wire.records import ClassCounts, Fakes, Feedback, StepId
from tests.checkpoint_files import client_states
from tests.rounds import rounds_of
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_faults import Injections

__all__ = ["injector"]

KEYS: dict[str, dict[str, Any]] = {
    "md_gan": {"md_gan": {"num_batches": 2, "swap_every": None}},
    "fed_split_gan": {},
    "ua_gan": {},
}


@pytest.fixture(scope="module")
def algorithm() -> str:
    return "md_gan"


def run_of(settings: dict[str, Any], algorithm: str, path: Path, **keys: Any) -> Path:
    """One round in this process."""
    training = settings["training"] | {"rounds": 1}
    changed = {key: value for key, value in settings.items() if key not in KEYS}
    changed |= {"algorithm": algorithm, "training": training} | KEYS[algorithm] | keys
    return train(make_config(changed), path, in_process=True).path


def saved(path: Path, file: str) -> dict[str, np.ndarray]:
    return read_arrays(path / "checkpoints" / "round-0001" / file)


def discriminators(path: Path) -> dict[int, dict[str, np.ndarray]]:
    """Client -> its state."""
    return client_states(path / "checkpoints" / "round-0001")


class Oracle:
    """All clients and the server in one graph a step, on the streams of the run's first round."""

    def __init__(self, plan: Plan) -> None:
        self.plan, config = plan, plan.config
        self.size, self.num_classes = config.training.batch_size, plan.layout.spec.num_classes
        self.clients = range(len(plan.layout.clients))
        build = lambda: build_networks(plan.layout.spec, None, torch_seed(config.seed, "networks"))  # noqa: E731
        self.generator = build().generator
        self.discriminators = {client: build().discriminator for client in self.clients}
        self.g_optimizer = self._adam(self.generator)
        self.d_optimizers = {client: self._adam(blocks) for client, blocks in self.discriminators.items()}
        self.noise = torch.Generator().manual_seed(torch_seed(config.seed, "fakes", 0))
        self.data = {client: load_client(plan.layout.clients[client].data) for client in self.clients}
        shuffles = {client: stream(config.seed, "batches", 0, client) for client in self.clients}
        self.order = {c: self.data[c].epoch_batches(shuffles[c], self.size) for c in self.clients}
        for client, batches in self.order.items():  # who has fewer images goes through them again
            while len(batches) < max(map(len, self.order.values())):
                batches += self.data[client].epoch_batches(shuffles[client], self.size)

    def _adam(self, blocks: list[nn.Module]) -> torch.optim.Optimizer:
        training = self.plan.config.training
        return torch.optim.Adam([p for b in blocks for p in b.parameters()], lr=training.lr, betas=training.betas)

    def fakes(self) -> tuple[Tensor, Tensor]:
        z = torch.randn(self.size, self.plan.layout.spec.latent_size, generator=self.noise)
        labels = torch.randint(self.num_classes, (self.size,), generator=self.noise)
        return through(self.generator, z, labels), labels

    def discriminate(self, client: int, x: Tensor, labels: Tensor) -> Tensor:
        return torch.sigmoid(through(self.discriminators[client], x, labels).double())

    def seen(self, client: int, step: int, x: Tensor) -> Tensor:
        """What the client's D sees of images."""
        seed = torch_seed(self.plan.config.seed, "augment", 0, client, step)
        return draw_transform(self.plan.config.training.augment, self.size, seed)(x)

    def update(self, client: int, fakes: tuple[Tensor, Tensor], step: int) -> None:
        images, labels = (torch.from_numpy(x) for x in self.data[client].batch(self.order[client][step]))
        of_fakes = self.discriminate(client, self.seen(client, step, fakes[0].detach()), fakes[1])
        of_reals = self.discriminate(client, self.seen(client, step, images), labels)
        self.d_optimizers[client].zero_grad()
        (-(1 - of_fakes).log().mean() - of_reals.log().mean()).backward()
        self.d_optimizers[client].step()

    def update_generator(self, loss: Tensor) -> None:
        self.g_optimizer.zero_grad()
        loss.backward()
        self.g_optimizer.step()

    def md_gan(self, step: int, k: int = 2) -> None:
        batches = [self.fakes() for _ in range(k)]
        for client in self.clients:
            self.update(client, batches[client % k], step)
        to_judge = {client: batches[(client + 1) % k] for client in self.clients}
        judged = [self.discriminate(c, self.seen(c, step, x), labels) for c, (x, labels) in to_judge.items()]
        self.update_generator(torch.stack([-p.log().mean() for p in judged]).mean())

    def fed_split_gan(self, step: int) -> None:
        fakes = self.fakes()
        judged = [self.discriminate(client, *fakes) for client in self.clients]
        loss = torch.stack([-p.log().mean() for p in judged]).sum()
        trained = [p for block in self.generator for p in block.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, trained)
        for client in self.clients:
            self.update(client, fakes, step)
        for parameter, gradient in zip(trained, gradients, strict=True):
            parameter.grad = gradient
        self.g_optimizer.step()

    def ua_gan(self, step: int) -> None:
        fakes = self.fakes()
        for client in self.clients:
            self.update(client, fakes, step)
        counts = torch.tensor([[np.sum(d.labels == y) for y in fakes[1].numpy()] for d in self.data.values()])
        judged = torch.stack([self.discriminate(client, *fakes) for client in self.clients])
        phi = (counts / counts.sum(0) * judged / (1 - judged)).sum(0)
        self.update_generator(-(phi / (1 + phi)).log().mean())


def through(blocks: list[nn.Module], *inputs: Tensor) -> Tensor:
    first, *rest = blocks
    x: Tensor = first(*inputs)
    for block in rest:
        x = block(x)
    return x


def assert_equal(found: dict[str, np.ndarray], name: str, blocks: list[nn.Module]) -> None:
    """To rounding, which differs with the processor; where a gradient is next to nothing, Adam makes some 1e-5 of it. A
    wrong formula is a learning rate a step: 5e-4."""
    for index, block in enumerate(blocks):
        for part, tensor in block.state_dict().items():
            key = f"{name}.{index}.{part}"
            np.testing.assert_allclose(found[key], tensor.numpy(), rtol=1e-3, atol=1e-4, err_msg=key)


@pytest.mark.parametrize("name", list(KEYS))
def test_a_round_is_one_graph_in_torch(settings: dict, tmp_path: Path, name: str) -> None:
    """Six clients with 32 and 20 images, four steps."""
    first, second = settings["data"]["domains"]
    unequal = settings | {"data": {"domains": [first, second | {"limit": 60}]}}
    path = run_of(unequal, name, tmp_path / "run")
    oracle = Oracle(make_plan(make_config(unequal)))
    for step in range(4):
        getattr(oracle, name)(step)
    assert_equal(saved(path, "generator.safetensors"), "generator", oracle.generator)
    assert_equal(saved(path, "model-0.safetensors"), "generator", oracle.generator)
    if name != "fed_split_gan":
        for client, arrays in discriminators(path).items():
            assert_equal(arrays, "discriminator", oracle.discriminators[client])
        return
    states = [
        {f"{i}.{k}": v for i, b in enumerate(d) for k, v in b.state_dict().items()}
        for d in oracle.discriminators.values()
    ]
    for client, arrays in discriminators(path).items():
        for key in states[0]:
            if not key.endswith(("num_batches_tracked", "running_mean", "running_var")):
                mean = torch.stack([state[key] for state in states]).mean(0)
                found = arrays[f"discriminator.{key}"]
                np.testing.assert_allclose(found, mean.numpy(), rtol=1e-3, atol=1e-4, err_msg=f"{client} {key}")
        for name, array in saved(path, "model-0.safetensors").items():
            assert name.startswith("generator.") or np.array_equal(array, arrays[name])


@pytest.mark.parametrize("augment", [[], ["translation", "cutout"]], ids=["plain", "augmented"])
def test_one_client_is_a_plain_gan_on_the_servers_noise(settings: dict, tmp_path: Path, augment: list) -> None:
    """MD-GAN with one batch and no swap, and UA-GAN, whose one client has all shares: equal to the last bits."""
    first = settings["data"]["domains"][0] | {"clients": 1}
    training = {"training": settings["training"] | {"augment": augment}}
    alone, keys = settings | training | {"data": {"domains": [first]}}, {"swap_every": None}
    md_gan = run_of(alone, "md_gan", tmp_path / "md_gan", md_gan=keys)
    ua_gan = run_of(alone, "ua_gan", tmp_path / "ua_gan")
    oracle = Oracle(make_plan(make_config(alone | {"md_gan": keys})))
    for step in range(len(oracle.order[0])):
        oracle.md_gan(step, k=1)
    for path in (md_gan, ua_gan):
        assert_equal(saved(path, "generator.safetensors"), "generator", oracle.generator)
        assert_equal(discriminators(path)[0], "discriminator", oracle.discriminators[0])


def test_a_swap_moves_every_discriminator_and_begins_its_optimizer_anew(settings: dict, tmp_path: Path) -> None:
    stayed = discriminators(run_of(settings, "md_gan", tmp_path / "stayed"))
    keys = {"num_batches": 2, "swap_every": 1}
    moved = discriminators(run_of(settings, "md_gan", tmp_path / "moved", md_gan=keys))
    came_from = {}
    for client, arrays in moved.items():
        assert not any(name.startswith("adam.") for name in arrays)
        same = [
            other
            for other, theirs in stayed.items()
            if all(np.array_equal(arrays[name], theirs[name]) for name in arrays)
        ]
        assert len(same) == 1
        came_from[client] = same[0]
    assert sorted(came_from.values()) == list(moved)
    assert all(client != other for client, other in came_from.items())


def test_derangements() -> None:
    """Of two there is one, of three there are two, and each comes as often."""
    rng = np.random.default_rng(0)
    assert {tuple(deranged([4, 7], rng)) for _ in range(20)} == {(7, 4)}
    found = Counter(tuple(deranged([0, 1, 2], rng)) for _ in range(2000))
    assert set(found) == {(1, 2, 0), (2, 0, 1)}
    assert 900 < found[1, 2, 0] < 1100
    with pytest.raises(ValueError, match="1 items have no derangement"):
        deranged([4], rng)


def test_batches_of_fakes_are_two_or_the_logarithm_of_the_clients(settings: dict) -> None:
    assert [num_batches("auto", clients) for clients in (1, 2, 6, 20, 21, 100)] == [1, 2, 2, 2, 3, 4]
    assert num_batches(6, 6) == 6
    config = make_config(settings | {"md_gan": {"num_batches": 7}})
    with pytest.raises(ConfigError, match="7 batches for 6 clients"):
        make_plan(config)


def test_one_client_has_nobody_to_swap_with(settings: dict) -> None:
    first = settings["data"]["domains"][0] | {"clients": 1}
    alone = {key: value for key, value in settings.items() if key != "clusters"} | {"data": {"domains": [first]}}
    with pytest.raises(ConfigError, match=r"algorithm: md_gan with one client, .+; add clients"):
        make_plan(make_config(alone | {"algorithm": "md_gan", "md_gan": {"num_batches": 1}}))
    make_plan(make_config(alone | {"algorithm": "md_gan", "md_gan": {"swap_every": None}}))


def test_odds_are_mixed_by_the_shares_of_each_class() -> None:
    """By hand: odds 1 and 4, 3 images of 4 at the first client: 3/4 + 1 = 1.75. Only the second: 4. Nobody: left out."""
    logits = torch.tensor([[0.0, 0.0, 0.0], [np.log(4.0)] * 3])
    held = torch.tensor([[3.0, 0.0, 0.0], [1.0, 5.0, 0.0]])
    assert mixed_logits(logits, held).exp().tolist() == pytest.approx([1.75, 4.0])
    equal = mixed_logits(torch.tensor([[0.7], [0.7]]), torch.tensor([[2.0], [2.0]]))
    assert equal.tolist() == pytest.approx([0.7]), "two that are alike are one"


def test_a_client_without_a_class_says_nothing_about_it(settings: dict) -> None:
    config = make_config(settings | {"algorithm": "ua_gan"} | {"md_gan": None})
    plan = make_plan(config)
    server = MixingServer(plan.layout, config)
    server.begin_round(0)
    server.know([ClassCounts(0, {0: 4, 1: 4}), ClassCounts(3, {1: 4})])
    step = StepId(0, 0)
    first, second = server.fakes(step, [0, 1])
    labels = first.labels[0][0]
    assert set(labels.tolist()) <= {0, 1}, "no other class is drawn"
    told = np.zeros(len(labels), np.float32)
    mixed = server.mix(step, {0: _logits(step, 0, told), 1: _logits(step, 3, told)})
    mine, theirs = mixed[0].values[0], mixed[1].values[3]
    assert (theirs[labels == 0] == 0).all()
    assert (mine[labels == 0] < 0).all()
    np.testing.assert_allclose(mine[labels == 1], theirs[labels == 1])
    assert set(second.images) == {1, 3, 5}


def _logits(step: StepId, client: int, values: np.ndarray) -> Any:
    from raygan.wire.records import Logits

    return Logits(step, {client: values})


@pytest.mark.parametrize("kind", [ServedClients, MixedClients])
def test_who_has_no_finite_numbers_tells_nothing_and_begins_anew(settings: dict, kind: type[ServedClients]) -> None:
    config = make_config(settings)
    layout = make_plan(config).layout
    clients = kind(layout.workers[0], layout.spec, config)
    clients.begin_round(0)
    broken = clients._clients[2].discriminator
    with torch.no_grad():
        next(broken._blocks[-1].parameters()).fill_(float("nan"))
    side, size = layout.spec.image_size, config.training.batch_size
    images = {client: (np.zeros((size, 1, side, side), np.float32),) for client in (0, 2, 4)}
    message = Fakes(StepId(0, 0), images, {client: (np.zeros(size, np.int64),) for client in (0, 2, 4)})
    if isinstance(clients, MixedClients):
        assert set(clients.logits(StepId(0, 0), message).values) == {0, 4}
    else:
        assert set(clients.judge(StepId(0, 0), message).gradients) == {0, 4}
    assert clients.report(StepId(0, 0)).faults == ("client-02: its loss is not finite",)
    assert set(clients.check_in().num_images) == {0, 4}
    clients.renew()
    assert set(clients.check_in().num_images) == {0, 2, 4}


def test_their_bytes_follow_from_the_formulas(settings: dict, tmp_path: Path) -> None:
    """Four steps of six clients, batches of b = 8 images of d = 144 floats; four-byte floats, eight-byte labels."""
    networks = build_networks(make_plan(make_config(settings)).layout.spec, None, 0)
    d_bytes = sum(x.numel() * x.element_size() for b in networks.discriminator for x in b.state_dict().values())
    num_blocks, steps, clients, b, d = len(networks.discriminator), 4, 6, 8, 144
    calls, batch = steps * clients, b * (4 * d + 8)
    feedback = {"Feedback": {"records": calls, "bytes": calls * 4 * b * d}}

    def links(name: str, **keys: Any) -> dict[str, Any]:
        (line,) = rounds_of(run_of(settings, name, tmp_path / name, **keys))
        return {link: kinds for link, kinds in line["links"].items() if "evaluator" not in link}

    found = links("md_gan", md_gan={"num_batches": 2})
    assert found == {
        "client -> client": {"State": {"records": clients, "bytes": clients * d_bytes}},
        "client -> server": feedback,
        "server -> client": {"Fakes": {"records": calls, "bytes": 2 * calls * batch}},
    }
    assert links("fed_split_gan") == {
        "aggregator -> client": {"BlockAverage": {"records": clients * num_blocks, "bytes": clients * d_bytes}},
        "client -> aggregator": {"State": {"records": clients, "bytes": clients * d_bytes}},
        "client -> server": feedback,
        "server -> client": {"Fakes": {"records": calls, "bytes": calls * batch}},
    }
    of_logits = {"records": calls, "bytes": calls * 4 * b}
    counts = {"records": clients, "bytes": clients * 4 * 8}
    assert links("ua_gan") == {
        "client -> server": {"ClassCounts": counts, "Logits": of_logits} | feedback,
        "server -> client": {"Fakes": {"records": calls, "bytes": calls * batch}, "Logits": of_logits},
    }


def test_a_worker_may_send_only_what_is_listed(settings: dict) -> None:
    config = make_config(settings)
    layout = make_plan(config).layout
    clients = ServedClients(layout.workers[0], layout.spec, config)
    assert clients.problem("judge", Feedback(StepId(0, 0), {})) is None
    fakes = Fakes(StepId(0, 0), {}, {})
    assert clients.problem("judge", fakes) == "a Fakes is nothing that leaves a client here"


@pytest.mark.slow
def test_a_worker_that_dies_in_the_swap(
    small_ray: None, injector: FaultInjector, settings: dict, tmp_path: Path
) -> None:
    """The round goes on with the other's three clients, who keep what came; the dead is back in the next round."""
    injections = Injections(injector, {1: Injection("client", "swap", name="clients-01")})
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    assert run.ended
    clients = run.metrics["clients"].tolist()
    assert (clients[0], clients[2:]) == (6, [6, 6])
    assert injections.told("clients-01", "was lost")
