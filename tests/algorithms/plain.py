"""The oracle of whole networks: a plain conditional GAN in torch, on the streams of the clients whose images it has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from raygan.data import load_client
from raygan.nn.network import build_networks
from raygan.randomness import stream, torch_seed
from raygan.run.plan import Plan

Trained = dict[str, list[nn.Module]]


def plainly_trained(plan: Plan, clients: Sequence[int], num_steps: int) -> tuple[list[tuple[float, float]], Trained]:
    """Losses of each step of the first round, and the networks after it; the clients' minibatches are merged."""
    config, spec = plan.config, plan.layout.spec
    built = build_networks(spec, None, torch_seed(config.seed, "networks"))
    networks: Trained = {"generator": built.generator, "discriminator": built.discriminator}
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    lr = config.training.lr
    rates = dict.fromkeys(networks, lr) if isinstance(lr, float) else lr.model_dump()
    optimizers = {
        name: torch.optim.Adam(
            [p for block in blocks for p in block.parameters()], lr=rates[name], betas=config.training.betas
        )
        for name, blocks in networks.items()
    }
    data = {client: load_client(plan.layout.clients[client].data) for client in clients}
    latent = {c: torch.Generator().manual_seed(torch_seed(config.seed, "latent", 0, c)) for c in clients}
    batches = {
        c: data[c].epoch_batches(stream(config.seed, "batches", 0, c), config.training.batch_size) for c in clients
    }

    def run(name: str, *inputs: Any) -> Any:
        first, *rest = networks[name]
        x = first(*inputs)
        for block in rest:
            x = block(x)
        return x

    losses = []
    for step in range(num_steps):
        drawn = [data[c].batch(batches[c][step]) for c in clients]
        images, labels = (torch.cat([torch.from_numpy(one[part]) for one in drawn]) for part in (0, 1))
        sizes = [len(one[1]) for one in drawn]
        z = torch.cat(
            [torch.randn(n, spec.latent_size, generator=latent[c]) for c, n in zip(clients, sizes, strict=True)]
        )
        fakes = run("generator", z, labels)
        images.requires_grad_()
        of_fakes, of_reals = (run("discriminator", x, labels) for x in (fakes.detach(), images))
        d_loss = bce(of_fakes, torch.zeros_like(of_fakes)) + bce(of_reals, torch.ones_like(of_reals))
        if config.training.r1:
            (slopes,) = torch.autograd.grad(of_reals.sum(), images, create_graph=True)
            d_loss = d_loss + config.training.r1 / 2 * slopes.flatten(1).norm(dim=1).square().mean()
        optimizers["discriminator"].zero_grad()
        d_loss.backward()
        optimizers["discriminator"].step()
        logits = run("discriminator", fakes, labels)
        g_loss = bce(logits, torch.ones_like(logits))
        optimizers["generator"].zero_grad()
        g_loss.backward()
        optimizers["generator"].step()
        losses.append((d_loss.item(), g_loss.item()))
    return losses, networks


def assert_plain(found: dict[tuple[str, int], dict[str, np.ndarray]], expected: Trained) -> None:
    """Every parameter and buffer that rounding alone does not decide."""
    for name, blocks in expected.items():
        for index, block in enumerate(blocks):
            for part, tensor in block.state_dict().items():
                mine, where = found[name, index][part], f"{name} {index} {part}"
                np.testing.assert_allclose(mine, tensor.numpy(), rtol=1e-4, atol=1e-4, err_msg=where)
