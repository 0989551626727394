"""The same networks in one process and one graph: the oracle of the split step.

With one client they are the unsplit networks. With several, block b runs once over the merged batch of the
clients that leave it to the body, and by itself on each client that holds it.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from raygan.config import Config
from raygan.data import load_client
from raygan.nn.losses import discriminator_loss, generator_loss
from raygan.nn.network import adam, build_networks, frozen
from raygan.randomness import stream, torch_seed
from raygan.split.layout import ClientPlan, Layout
from raygan.split.stages import body_blocks
from raygan.wire.records import NetworkName

Batch = dict[int, torch.Tensor]


class Reference:
    """Steps of all clients of a layout."""

    def __init__(self, layout: Layout, config: Config) -> None:
        self._layout, self._config = layout, config
        networks = build_networks(layout.spec, None, torch_seed(config.seed, "networks"))
        self.body = {"generator": networks.generator, "discriminator": networks.discriminator}
        self.own = {plan.client: copy.deepcopy(self.body) for plan in layout.clients}
        self._data = {plan.client: load_client(plan.data) for plan in layout.clients}
        self._batches = {c: self._epoch(plan) for c, plan in enumerate(layout.clients)}
        self._latent = {
            c: torch.Generator().manual_seed(torch_seed(config.seed, "latent", 0, c)) for c in self._data
        }
        self._optimizers = {
            network: [
                adam(owner[network], config.training.lr, config.training.betas) for owner in self._owners()
            ]
            for network in self.body
        }

    def _owners(self) -> list[dict[str, list[nn.Module]]]:
        return [self.body, *self.own.values()]

    def _epoch(self, plan: ClientPlan) -> list:
        shuffle = stream(self._config.seed, "batches", 0, plan.client)
        return self._data[plan.client].epoch_batches(shuffle, self._config.training.batch_size)

    def _run(self, network: NetworkName, first: Batch, labels: Batch) -> Batch:
        """All clients through one network; a client that enters the body goes behind those inside."""
        x, inside = dict(first), []
        for block in range(self._layout.num_blocks[network]):
            entering = [c for c in x if block in self._body(network, c) and c not in inside]
            inside = [c for c in inside if block in self._body(network, c)] + entering
            for client in [c for c in x if c not in inside]:
                inputs = (x[client], labels[client]) if block == 0 else (x[client],)
                x[client] = self.own[client][network][block](*inputs)
            if inside:
                merged = self.body[network][block](torch.cat([x[c] for c in inside]))
                x |= dict(zip(inside, merged.split([len(x[c]) for c in inside]), strict=True))
        return x

    def _body(self, network: NetworkName, client: int) -> range:
        return body_blocks(self._layout.clients[client].cut(network), self._layout.num_blocks[network])

    def step(self, number: int) -> dict[int, tuple[float, float]]:
        """One D update and one G update; both losses of each client."""
        reals, labels, z = {}, {}, {}
        for client, data in self._data.items():
            images, classes = data.batch(self._batches[client][number])
            reals[client], labels[client] = torch.from_numpy(images), torch.from_numpy(classes)
            size = (len(classes), self._layout.spec.latent_size)
            z[client] = torch.randn(size, generator=self._latent[client])
        fakes = self._run("generator", z, labels)
        of_fakes = self._run("discriminator", {c: x.detach() for c, x in fakes.items()}, labels)
        of_reals = self._run("discriminator", reals, labels)
        d_losses = {c: discriminator_loss(of_fakes[c], of_reals[c]) for c in fakes}
        self._update("discriminator", d_losses)
        with frozen([block for owner in self._owners() for block in owner["discriminator"]]):
            fooled = self._run("discriminator", fakes, labels)
            g_losses = {c: generator_loss(fooled[c]) for c in fakes}
            self._update("generator", g_losses)
        return {c: (d_losses[c].item(), g_losses[c].item()) for c in fakes}

    def _update(self, network: str, losses: Batch) -> None:
        sum(losses.values()).backward()
        for optimizer in self._optimizers[network]:
            optimizer.step()
            optimizer.zero_grad()
