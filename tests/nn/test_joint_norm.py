"""BatchNorm over replicas against torch's own on the merged batch: outputs, gradients, running statistics."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from raygan.nn.joint_norm import Gather, joined

T = TypeVar("T")


def at_once(num_replicas: int, work: Callable[[int, Gather], T]) -> list[T]:
    """What each replica makes, in threads that exchange numbers; each exchange comes in another order."""
    barrier, slots = threading.Barrier(num_replicas, timeout=20), [torch.empty(0)] * num_replicas

    def one(rank: int) -> T:
        def gather(mine: Tensor) -> Tensor:
            slots[rank] = mine
            barrier.wait()
            found = torch.stack(slots)
            barrier.wait()
            return found

        return work(rank, gather)

    with ThreadPoolExecutor(num_replicas) as pool:
        return list(pool.map(one, range(num_replicas)))


LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "2d": (lambda: nn.BatchNorm2d(3), (3, 4, 5)),
    "1d": (lambda: nn.BatchNorm1d(6), (6,)),
    "2d of its own momentum": (lambda: nn.BatchNorm2d(3, eps=1e-3, momentum=0.3), (3, 2, 2)),
    "cumulative": (lambda: nn.BatchNorm2d(3, momentum=None), (3, 2, 2)),
    "without weights": (lambda: nn.BatchNorm2d(3, affine=False), (3, 2, 2)),
    "untracked": (lambda: nn.BatchNorm2d(3, track_running_stats=False), (3, 2, 2)),
    "in a block": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)),
        (3, 4, 4),
    ),
}
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("rows", [(3, 5), (4, 0, 1), (1, 1, 6, 2)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_replicas_are_one_layer_over_the_merged_batch(name: str, rows: tuple[int, ...], dtype: torch.dtype) -> None:
    make, shape = LAYERS[name]
    torch.manual_seed(3)
    whole = make().to(dtype)
    for parameter in whole.parameters():
        nn.init.normal_(parameter)
    replicas = [copy.deepcopy(whole) for _ in rows]
    steps = [(2 + 3 * torch.randn(sum(rows), *shape, dtype=dtype), torch.rand(1, dtype=dtype)) for _ in range(3)]

    def train(block: nn.Module, first: int, count: int) -> tuple[list[Tensor], list[Tensor]]:
        outputs, gradients = [], []
        for batch, weight in steps:
            x = batch[first : first + count].clone().requires_grad_()
            y = block(x)
            (weight * y**3).sum().backward()
            assert x.grad is not None
            outputs.append(y.detach())
            gradients.append(x.grad)
        return outputs, gradients

    def replica(rank: int, gather: Gather) -> tuple[list[Tensor], list[Tensor]]:
        replicas[rank] = joined(replicas[rank], gather)
        return train(replicas[rank], sum(rows[:rank]), rows[rank])

    expected, found = train(whole, 0, sum(rows)), at_once(len(rows), replica)
    tolerance = TOLERANCE[dtype]
    for part, wanted in enumerate(expected):
        for step, tensor in enumerate(wanted):
            merged = torch.cat([of_replica[part][step] for of_replica in found])
            torch.testing.assert_close(merged, tensor, rtol=tolerance, atol=tolerance * float(tensor.abs().max()))
    for key, value in whole.state_dict().items():
        for block in replicas:
            torch.testing.assert_close(block.state_dict()[key], value, rtol=tolerance, atol=tolerance)
    for index, parameter in enumerate(whole.parameters()):
        parts = [list(block.parameters())[index].grad for block in replicas]
        total = torch.stack([part for part in parts if part is not None]).sum(0)
        assert parameter.grad is not None
        scale = max(1.0, float(parameter.grad.abs().max()))
        torch.testing.assert_close(total, parameter.grad, rtol=tolerance, atol=tolerance * scale)


def test_buffers_of_the_replicas_are_equal_bit_for_bit() -> None:
    torch.manual_seed(0)
    layers = [nn.BatchNorm2d(5) for _ in range(3)]
    batches = [torch.randn(rows, 5, 3, 3) for rows in (7, 2, 0)]

    def run(rank: int, gather: Gather) -> bytes:
        layer = joined(layers[rank], gather)
        layer(batches[rank])
        return b"".join(value.numpy().tobytes() for value in layer.state_dict().values())

    assert len(set(at_once(3, run))) == 1


def test_weights_that_are_frozen_get_no_gradient_and_inputs_do() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    layer = nn.BatchNorm1d(2).double().requires_grad_(False)
    joined(copy.deepcopy(layer), lambda mine: mine[None])(x).pow(3).sum().backward()
    mine, x.grad = x.grad, None
    layer(x).pow(3).sum().backward()
    torch.testing.assert_close(mine, x.grad, rtol=1e-12, atol=1e-12)


def test_evaluation_exchanges_nothing() -> None:
    layer = nn.BatchNorm1d(2)
    x = torch.randn(4, 2)
    asked: list[Tensor] = []
    alone = joined(copy.deepcopy(layer), asked.append).eval()  # type: ignore[arg-type]
    assert torch.equal(alone(x), layer.eval()(x))
    assert asked == []


def test_one_value_a_channel_is_refused_as_by_torch() -> None:
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        joined(nn.BatchNorm1d(2), lambda mine: torch.stack([mine, torch.zeros_like(mine)]))(torch.randn(1, 2))
