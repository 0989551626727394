"""How many replicas of the body pay, and what a list of them must be."""

from __future__ import annotations

import pytest

from raygan.cli.replicas import parse_replicas
from raygan.config.loading import make_config
from raygan.cuts import NetworkCost
from raygan.cuts.replicas import Replicated, most_that_pay, plan_replicas
from raygan.errors import InputError

COST = NetworkCost(
    forward_flops=[0, 8e3, 0],
    backward_flops=[0, 16e3, 0],
    output_bytes=[0, 0, 0],
    parameter_bytes=[0, 1000, 0],
    activation_bytes=[0, 0, 0],
    norm_layers=[1, 2, 0],
    norm_channels=[9, 10, 0],
)
SETTINGS = {
    "data": {"domains": [{"name": "demo_mnist", "clients": 4}]},
    "devices": {"fleet": ["workstation"], "server": {"flops_per_s": 1e3, "bytes_per_s": 1e3, "exchange_s": 0.5}},
}


def test_compute_divides_and_exchanges_cost() -> None:
    """Four clients, one block in the body: 8 s forward and 16 s back for each, on one server."""
    rows = plan_replicas(make_config(SETTINGS), [1, 2], generator=COST, discriminator=COST, anchor=1)
    one, two = rows
    assert one == Replicated(1, pytest.approx(4 * (4 * 8 + 4 * 16)), 0, pytest.approx(4 * 96))
    forward_s = 3 * 0.5 + 8 * (2 * 10 + 2) / 1e3  # three exchanges; two sums a channel and two counts, of 8 bytes
    backward_s = 3 * 0.5 + 8 * 2 * 10 / 1e3
    gradients_s = 2 * 0.5 + 2 * 1000 / 2 / 1e3  # once an iteration of each network
    exchanges_s = 4 * (forward_s + backward_s) + 2 * gradients_s
    assert two.exchange_s == pytest.approx(exchanges_s)
    assert two.latency_s == pytest.approx(4 * 96 / 2 + exchanges_s)
    assert two.server_busy_s == pytest.approx(two.latency_s)


def test_more_pay_while_an_iteration_gets_faster_by_a_twentieth() -> None:
    def rows(*seconds: float) -> list[Replicated]:
        return [Replicated(2**place, s, 0, 0) for place, s in enumerate(seconds)]

    assert most_that_pay(rows(10, 6, 4, 3.9, 3)) == 4
    assert most_that_pay(rows(10, 11)) == 1
    assert most_that_pay(rows(10, 9, 8)) == 4


def test_more_than_clients_are_refused() -> None:
    with pytest.raises(InputError, match="--replicas: 8 replicas for 4 clients; give at most 4"):
        plan_replicas(make_config(SETTINGS), [1, 8], generator=COST, discriminator=COST, anchor=1)


@pytest.mark.parametrize("text", ["2,4", "1,x", "", "1,4,2", "1,1", "0,1"])
def test_what_is_no_list_of_replicas(text: str) -> None:
    assert parse_replicas("1, 2,8") == [1, 2, 8]
    with pytest.raises(InputError, match="is no list of numbers of replicas; begin with 1, such as 1,2,4"):
        parse_replicas(text)
