"""The model once more, one client and one block at a time, straight from the formulas; and brute force.

From the package it takes the records of the problem, and nothing that is computed from them.
"""

from __future__ import annotations

import itertools

from raygan.cuts import Device, NetworkCost, Server


def forward_s(F, A, cuts, devices, server, S):
    """max_i R_i."""
    B = len(F)
    H = [sum(F[: h + 1]) / d.flops_per_s + A[h] / d.bytes_per_s for (h, _), d in zip(cuts, devices, strict=True)]
    T = {0: 0.0}
    for b in range(1, B - 1):
        n = sum(h < b < B - 1 - t for h, t in cuts)
        entering = [H[i] for i, (h, _) in enumerate(cuts) if h == b - 1]
        T[b] = max([T[b - 1], *entering]) + F[b] * n / (server.replicas * server.flops_per_s) + S[b] * (n > 0)
    return max(
        T[B - 2 - t] + A[B - 2 - t] / server.bytes_per_s + sum(F[B - 1 - t :]) / d.flops_per_s
        for (_, t), d in zip(cuts, devices, strict=True)
    )


def backward_s(W, A, cuts, devices, server, S):
    """max_i Q_i."""
    B = len(W)
    G = [
        sum(W[B - 1 - t :]) / d.flops_per_s + A[B - 2 - t] / d.bytes_per_s
        for (_, t), d in zip(cuts, devices, strict=True)
    ]
    V = {B - 1: 0.0}
    for b in range(B - 2, 0, -1):
        n = sum(h < b < B - 1 - t for h, t in cuts)
        entering = [G[i] for i, (_, t) in enumerate(cuts) if B - 2 - t == b]
        V[b] = max([V[b + 1], *entering]) + W[b] * n / (server.replicas * server.flops_per_s) + S[b] * (n > 0)
    return max(
        V[h + 1] + A[h] / server.bytes_per_s + sum(W[: h + 1]) / d.flops_per_s
        for (h, _), d in zip(cuts, devices, strict=True)
    )


def exchanges_s(cost: NetworkCost, server: Server, passes: int):
    """Of each block, seconds that R replicas of the server exchange numbers, forward and backward."""
    R, e, r = server.replicas, server.exchange_s, server.bytes_per_s
    if R == 1:
        return [0] * cost.num_blocks, [0] * cost.num_blocks
    forward, backward = [], []
    for N, C, P in zip(cost.norm_layers, cost.norm_channels, cost.parameter_bytes, strict=True):
        forward.append(e + N * e + 8 * (N + C + C) * (R - 1) / r)
        backward.append(e + N * e + 8 * (C + C) * (R - 1) / r + 2 * (e + P / R * (R - 1) / r) / passes)
    return forward, backward


def network_s(cost: NetworkCost, cuts, devices: list[Device], server: Server, passes: int) -> float:
    """One forward and one backward pass."""
    S_forward, S_backward = exchanges_s(cost, server, passes)
    forward = forward_s(cost.forward_flops, cost.output_bytes, cuts, devices, server, S_forward)
    return forward + backward_s(cost.backward_flops, cost.output_bytes, cuts, devices, server, S_backward)


def iteration_s(costs, cuts, devices, server) -> float:
    """An iteration; `cuts` as in `Plan.cuts`."""
    generator, discriminator = zip(*cuts, strict=True)
    G, D = (
        network_s(cost, of_network, devices, server, passes)
        for cost, of_network, passes in ((costs[0], generator, 1), (costs[1], discriminator, 3))
    )
    return G + 3 * D


def fits(costs, pair, device) -> bool:
    """Whether a pair of cuts keeps within a device's memory."""
    if device.memory_bytes is None:
        return True
    need = sum(
        4 * cost.parameter_bytes[block] + cost.activation_bytes[block]
        for cost, cut in zip(costs, pair, strict=True)
        for block in range(cost.num_blocks)
        if not cut[0] < block < cost.num_blocks - 1 - cut[1]
    )
    return need <= device.memory_bytes


def every_cut(B, anchor):
    """All (h, t) with a body, h < b < B-1-t, that has the anchor."""
    pairs = itertools.product(range(B), repeat=2)
    return [(h, t) for h, t in pairs if h + t <= B - 3 and (anchor is None or h < anchor < B - 1 - t)]


def brute_force_s(costs, devices, server, anchor) -> float:
    """The least latency over every assignment, inf if none fits.

    Networks are enumerated one by one where no device has a memory limit, because they share nothing else.
    """
    valid = [every_cut(cost.num_blocks, anchor) for cost in costs]
    if all(device.memory_bytes is None for device in devices):
        best = [
            min(network_s(cost, cuts, devices, server, n) for cuts in itertools.product(choices, repeat=len(devices)))
            for cost, choices, n in zip(costs, valid, (1, 3), strict=True)
        ]
        return best[0] + 3 * best[1]
    options = [[pair for pair in itertools.product(*valid) if fits(costs, pair, device)] for device in devices]
    seconds = [{}, {}]

    def cached_s(network, cuts):
        if cuts not in seconds[network]:
            seconds[network][cuts] = network_s(costs[network], cuts, devices, server, (1, 3)[network])
        return seconds[network][cuts]

    return min(
        (
            cached_s(0, tuple(pair[0] for pair in pairs)) + 3 * cached_s(1, tuple(pair[1] for pair in pairs))
            for pairs in itertools.product(*options)
        ),
        default=float("inf"),
    )
