"""The same networks in one process and one graph: the oracle of the split step.

With one client they are the unsplit networks. With several, block b runs once over the merged batch of the
clients that leave it to the body, and by itself on each client that holds it.

It has losses, optimizers, cuts and updates of its own. What it shares with the code that it judges are inputs, which
must be the same for anything to be compared: the initial networks, the clients' images, and the streams of random
numbers, whose names are a convention that the two agree on.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from raygan.config import Config
from raygan.data import load_client
from raygan.names import NETWORKS, NetworkName
from raygan.nn.augmentation import Transform, draw_transform
from raygan.nn.network import build_networks
from raygan.randomness import stream, torch_seed
from raygan.split.layout import Layout
from raygan.wire.records import State

Batch = dict[int, Tensor]
"""Client -> a tensor (B_k, ...)."""
LABELLED = {"paper": {"first"}, "projection": {"last"}, "plane_projection": {"first", "last"}, "residual": {"last"}}
"""Networks -> the blocks of D that are called with the labels as well."""
Owner = dict[NetworkName, list[nn.Module]]


def as_fake(logits: Tensor) -> Tensor:
    """-ln(1 - sigmoid(x)), mean over the batch: (B,) -> scalar."""
    return softplus(logits).mean()


def as_real(logits: Tensor) -> Tensor:
    """-ln sigmoid(x), mean over the batch: (B,) -> scalar."""
    return softplus(-logits).mean()


class Reference:
    """Steps of all clients of a layout in one round.

    Args:
        number: the round's, from 0.
    """

    def __init__(self, layout: Layout, config: Config, number: int = 0) -> None:
        self._layout, self._config, self._number = layout, config, number
        networks = build_networks(layout.spec, None, torch_seed(config.seed, "networks"))
        self.body: Owner = {"generator": networks.generator, "discriminator": networks.discriminator}
        self.own = {plan.client: copy.deepcopy(self.body) for plan in layout.clients}
        self.latent = {
            plan.client: torch.Generator().manual_seed(torch_seed(config.seed, "latent", number, plan.client))
            for plan in layout.clients
        }
        """Client -> what its z is drawn from."""
        self.anchors: dict[int, list[Tensor]] = {plan.client: [] for plan in layout.clients}
        """Client -> batch mean of D's anchor block on each of its real minibatches so far, (C, H, W)."""
        self._data = {plan.client: load_client(plan.data) for plan in layout.clients}
        self._batches = self._minibatches(number)
        self.optimizers = {
            network: [self._adam(network, owner[network]) for owner in (self.body, *self.own.values())]
            for network in NETWORKS
        }
        """Of the body, then of each client."""

    def _adam(self, network: NetworkName, blocks: list[nn.Module]) -> torch.optim.Adam:
        parameters = [parameter for block in blocks for parameter in block.parameters()]
        training = self._config.training
        lr = training.lr if isinstance(training.lr, float) else training.lr.model_dump()[network]
        return torch.optim.Adam(parameters, lr=lr, betas=training.betas)

    def _minibatches(self, number: int) -> dict[int, list[np.ndarray]]:
        """Client -> indices of each step's images: passes over all that it has, as many as it or somebody else needs."""
        training = self._config.training
        shuffles = {client: stream(self._config.seed, "batches", number, client) for client in self._data}
        batches: dict[int, list[np.ndarray]] = {client: [] for client in self._data}
        for client, shuffle in shuffles.items():
            for _ in range(training.local_epochs):
                batches[client] += self._data[client].epoch_batches(shuffle, training.batch_size)
        most = max(len(mine) for mine in batches.values())
        for client, shuffle in shuffles.items():
            while training.steps == "everybody" and len(batches[client]) < most:
                batches[client] += self._data[client].epoch_batches(shuffle, training.batch_size)
        return batches

    def _run(self, network: NetworkName, first: Batch, labels: Batch) -> list[Batch]:
        """All clients through one network, every block's outputs; who enters the body goes behind those inside."""
        x, inside, outputs = dict(first), list[int](), []
        for block in range(self._layout.num_blocks[network]):
            entering = [c for c in x if block in self._body(network, c) and c not in inside]
            inside = [c for c in inside if block in self._body(network, c)] + entering
            for client in [c for c in x if c not in inside]:
                inputs = (x[client], labels[client]) if self._labelled(network, block) else (x[client],)
                x[client] = self.own[client][network][block](*inputs)
            if inside:
                merged = self.body[network][block](torch.cat([x[c] for c in inside]))
                x |= dict(zip(inside, merged.split([len(x[c]) for c in inside]), strict=True))
            outputs.append(dict(x))
        return outputs

    def _labelled(self, network: NetworkName, block: int) -> bool:
        """Whether a block is called with the labels as well."""
        ends = {"first"} if network == "generator" else LABELLED[self._config.model.networks]
        return {0: "first", self._layout.num_blocks[network] - 1: "last"}.get(block) in ends

    def _body(self, network: NetworkName, client: int) -> range:
        """Blocks h+1..B-2-t."""
        head, tail = self._layout.clients[client].cut(network)
        return range(head + 1, self._layout.num_blocks[network] - 1 - tail)

    def step(self, number: int) -> dict[int, tuple[float, float]]:
        """One D update and one G update; both losses of each client whose epochs are not over."""
        reals, labels, z = {}, {}, {}
        for client, batches in self._batches.items():
            if number < len(batches):
                images, classes = self._data[client].batch(batches[number])
                reals[client], labels[client] = torch.from_numpy(images), torch.from_numpy(classes)
                size = (len(classes), self._layout.spec.latent_size)
                z[client] = torch.randn(size, generator=self.latent[client])
        of_fake, seen = self._fake_labels(number, labels), self._transforms(number, labels)
        fakes = self._run("generator", z, of_fake)[-1]
        of_fakes = self._run("discriminator", {c: seen[c](x.detach()) for c, x in fakes.items()}, of_fake)[-1]
        of_reals = self._run("discriminator", {c: seen[c](x) for c, x in reals.items()}, labels)
        for client, activation in of_reals[self._layout.anchors["discriminator"]].items():
            self.anchors[client].append(activation.detach().mean(0))
        d_losses = {c: self._d_loss(of_fakes[c], of_reals[-1][c]) for c in fakes}
        self._update("discriminator", d_losses)
        shown = {c: seen[c](x) for c, x in fakes.items()}
        judged = self._run("discriminator", shown, of_fake)[-1]
        g_losses = {c: self._g_loss(x, of_reals[-1][c].detach()) for c, x in judged.items()}
        self._update("generator", g_losses)
        return {c: (d_losses[c].item(), g_losses[c].item()) for c in fakes}

    def _d_loss(self, fake: Tensor, real: Tensor) -> Tensor:
        if self._config.training.loss == "relativistic":
            return as_fake(fake - real.mean()) + as_real(real - fake.mean())
        return as_fake(fake) + as_real(real)

    def _g_loss(self, fake: Tensor, real: Tensor) -> Tensor:
        """The reals' logits are those of D's update just before."""
        if self._config.training.loss == "relativistic":
            return as_real(fake - real.mean()) + as_fake(real - fake.mean())
        return as_real(fake)

    def _fake_labels(self, step: int, labels: Batch) -> Batch:
        """The minibatches', or drawn from the classes that a client holds."""
        if self._config.training.fake_labels == "own":
            return labels
        drawn = {}
        for client, mine in labels.items():
            held = sorted(set(self._data[client].labels.tolist()))
            source = stream(self._config.seed, "fake_labels", self._number, client, step)
            drawn[client] = torch.from_numpy(source.choice(held, len(mine)))
        return drawn

    def _transforms(self, step: int, clients: Batch) -> dict[int, Transform]:
        """What each client's D sees its images through."""
        training, seed = self._config.training, self._config.seed
        return {
            client: draw_transform(
                training.augment, training.batch_size, torch_seed(seed, "augment", self._number, client, step)
            )
            for client in clients
        }

    def _update(self, network: NetworkName, losses: Batch) -> None:
        """One step of one network on the sum over clients; what the other network has collected is dropped."""
        for optimizer in (one for several in self.optimizers.values() for one in several):
            optimizer.zero_grad()
        torch.autograd.backward(torch.stack(list(losses.values())).sum())
        for optimizer in self.optimizers[network]:
            optimizer.step()


def assert_equal_blocks(state: State, networks: Owner) -> None:
    """Every parameter and buffer."""
    for (network, index), arrays in state.blocks.items():
        if network not in networks:  # a moving average, which is judged elsewhere
            continue
        block = networks[network][index]
        for name, array in arrays.items():
            expected, where = block.state_dict()[name].numpy(), f"{network}.{index}.{name}"
            np.testing.assert_allclose(array, expected, rtol=1e-4, atol=2e-6, err_msg=where)
