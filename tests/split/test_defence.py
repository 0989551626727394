"""What a client does so that the activations of D's head tell less: NoPeek's penalty, and noise."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.names import in_turn
from raygan.randomness import torch_seed
from raygan.run.plan import make_plan
from raygan.simulation.executors import one_by_one
from raygan.split.client import Client
from raygan.wire.records import StepId
from tests.federations import Started, in_process, on_ray
from tests.nn.test_correlation import by_definition
from tests.run.test_resume import Interrupt, arrays_of_round

BOTH = {"distance_correlation": 0.5, "activation_noise": 0.3}


def started(settings: dict[str, Any], **privacy: float) -> Started:
    federation = in_process(make_plan(make_config(settings | {"privacy": privacy})))
    federation.begin_round(0)
    return federation


def of_client(computation: Any) -> Any:
    (found,) = one_by_one({0: computation}, in_turn).values()
    return found


def first_pass(federation: Started, client: Client, step: int = 0) -> tuple[Tensor, ...]:
    """What the client sends of D's head; the body's part of G is noise."""
    of_client(client.generate(step))
    shape = federation.layout.output_shapes["generator"][3 - client.plan.generator_cut[1]]
    draw = torch.Generator().manual_seed(1)
    found = of_client(client.discriminate((torch.randn(client.num_images, *shape, generator=draw),)))
    return tuple(x.detach() for x in found)


def numbers(seed: int, *parts: Tensor) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(part.shape, generator=draw) for part in parts]


def test_the_head_is_given_the_gradient_of_the_penalty(two_clients: dict) -> None:
    """Along that gradient, the definition of the distance correlation rises as steeply, times w."""
    federation = started(two_clients, distance_correlation=0.25)
    client = federation.party_of(0)._clients[0]
    before = copy.deepcopy(client.discriminator.head[0]).double()
    sent = first_pass(federation, client)
    client.discriminator.update = lambda: None  # type: ignore[method-assign]
    of_client(client.update_discriminator(tuple(torch.zeros_like(x) for x in sent)))
    trained = {name: p for name, p in client.discriminator.head[0].named_parameters() if p.requires_grad}
    gradients = {name: p.grad.double() for name, p in trained.items()}
    norm = torch.sqrt(sum((g**2).sum() for g in gradients.values()))
    assert norm > 1e-3
    values = []
    for step in (1e-4, -1e-4):
        moved = copy.deepcopy(before)
        for name, gradient in gradients.items():
            moved.get_parameter(name).data += step * gradient / norm
        made = moved(client._reals.double(), client._labels)
        values.append(by_definition(client._reals.flatten(1).numpy(), made.detach().flatten(1).numpy()))
    assert 0.25 * (values[0] - values[1]) / 2e-4 == pytest.approx(norm.item(), rel=1e-2)
    federation.close()


def test_what_is_sent_is_clipped_and_has_the_steps_noise(two_clients: dict) -> None:
    """Against the same client without noise: of fakes, of reals, and of the fakes that G learns from."""
    plain, noisy = started(two_clients), started(two_clients, activation_noise=0.5)
    alone, mine = (federation.party_of(1)._clients[1] for federation in (plain, noisy))
    scale = torch.tensor(0.0)
    for step in range(2):
        clean, sent = first_pass(plain, alone, step), first_pass(noisy, mine, step)
        lengths = [x.flatten(1).norm(dim=1) / x[0].numel() ** 0.5 for x in clean]
        mean = torch.cat(lengths).mean()
        scale = mean if step == 0 else 0.9 * scale + 0.1 * mean
        noise = numbers(torch_seed(plain.plan.config.seed, "activation_noise", 0, 1, step), *clean, clean[0])
        for x, length, found, n in zip(clean, lengths, sent, noise, strict=False):
            shares = (scale / length).clamp(max=1)[:, None, None, None]
            assert torch.allclose(found, shares * x + 0.5 * scale * n, atol=1e-5)
    for client in (alone, mine):
        client.discriminator.update = lambda: None
    zeros = tuple(torch.zeros_like(x) for x in clean)
    of_g, found = (of_client(client.update_discriminator(zeros))[0].detach() for client in (alone, mine))
    length = of_g.flatten(1).norm(dim=1) / of_g[0].numel() ** 0.5
    shares = (scale / length).clamp(max=1)[:, None, None, None]
    assert torch.allclose(found, shares * of_g + 0.5 * scale * noise[2], atol=1e-5)
    for federation in (plain, noisy):
        federation.close()


def test_clients_that_are_computed_at_once_have_theirs_as_well(two_clients: dict) -> None:
    def trained(mode: str) -> list[dict[str, np.ndarray]]:
        federation = started(two_clients | {"ray": two_clients["ray"] | {"vmap_clients": mode}}, **BOTH)
        for step in range(2):
            federation.reports(StepId(0, step))
        arrays = [client.arrays() for client in federation.party_of(0)._clients.values()]
        federation.close()
        return arrays

    for alone, together in zip(trained("never"), trained("always"), strict=True):
        assert alone.keys() == together.keys()
        for name in alone:
            if name.startswith("discriminator.0") or name == "activation_scale":
                np.testing.assert_allclose(alone[name], together[name], rtol=1e-2, atol=2e-4, err_msg=name)


def test_a_resumed_run_has_the_noise_of_one_that_was_not_interrupted(two_clients: dict, tmp_path: Path) -> None:
    training = two_clients["training"] | {"rounds": 2}
    config = make_config(two_clients | {"privacy": BOTH, "training": training})
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", in_process=True, listener=Interrupt(1, 1))
    resume(tmp_path / "run", in_process=True)
    calm = train(config, tmp_path / "calm", in_process=True)
    found = arrays_of_round(calm.path, 2)
    assert found == arrays_of_round(tmp_path / "run", 2)
    assert found["client-0/activation_scale"] != found["client-1/activation_scale"]


@pytest.mark.usefixtures("small_ray")
def test_actors_compute_what_one_process_computes(two_clients: dict) -> None:
    plan = make_plan(make_config(two_clients | {"privacy": BOTH}))
    found = []
    for begin in (in_process, on_ray):
        federation = begin(plan)
        federation.begin_round(0)
        for step in range(2):
            federation.reports(StepId(0, step))
        states = {client: state.blocks for client, state in federation.states().items()} | {
            "body": federation.body_state().blocks
        }
        found.append(
            {
                (who, key, name): array.tobytes()
                for who, blocks in states.items()
                for key, block in blocks.items()
                for name, array in block.items()
            }
        )
        federation.close()
    assert found[0] == found[1]


def test_where_d_is_whole_they_are_skipped(two_clients: dict) -> None:
    settings = {key: value for key, value in two_clients.items() if key != "cuts"}
    warnings = make_plan(make_config(settings | {"algorithm": "local", "privacy": BOTH})).warnings
    assert [words for words in warnings if words.startswith("privacy.")] == [
        "privacy.distance_correlation is skipped: algorithm local does not read it",
        "privacy.activation_noise is skipped: algorithm local does not read it",
    ]


@pytest.mark.parametrize("key", sorted(BOTH))
@pytest.mark.parametrize("value", [-0.1, float("nan"), True])
def test_a_strength_is_a_number_from_zero(two_clients: dict, key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"privacy\.{key}"):
        make_config(two_clients | {"privacy": {key: value}})
