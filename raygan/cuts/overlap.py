"""What the latency model leaves out: a client that is done with a pass does not wait for the slowest one.

The model (`latency`) ends every pass when its slowest client is done, and adds up the passes. raygan's actors
have no such barrier: a fast client goes on with its part of the next pass, and of the next step, while others
still work; only a body block waits for everybody who enters there. So steps follow each other at most as far
apart as the model says: the sum of the slowest is at least the slowest sum. One client, or one slowest
client in all passes, makes them equal.

Same times, same body, no barriers: with s_i when client i is done with what came before, of m passes that
travel together (m = 2 where D sees fakes and reals)

    H_i = s_i + m (first blocks + up-link)_i
    T_b = max(T_{b-1}, max_{i enters at b} H_i) + m F_b n_b / c_s           T goes on from pass to pass
    s_i = T_{i leaves} + m (down-link + last blocks)_i
"""

from __future__ import annotations

import numpy as np

from raygan.cuts.latency import Floats, Ints, Pass
from raygan.cuts.problem import Problem

WARM_STEPS = 10
"""Steps until the clients' clocks have spread as far as they do."""
TIMED_STEPS = 10


def overlapped_seconds(task: Problem, choice: Ints) -> float:
    """Seconds from step to step, warm, for an assignment [K, 2]; at most `task.latency(choice)`."""
    clocks_s, server_s = np.zeros(len(task.clients)), 0.0
    ends_s = [0.0]
    for _ in range(WARM_STEPS + TIMED_STEPS):
        clocks_s, server_s = _step(task, choice, clocks_s, server_s)
        ends_s.append(float(clocks_s.max()))
    return (ends_s[-1] - ends_s[-1 - TIMED_STEPS]) / TIMED_STEPS


def _step(task: Problem, choice: Ints, clocks_s: Floats, server_s: float) -> tuple[Floats, float]:
    """Clients' and server's clocks after a step: fakes, D's update with fakes and reals, G's with the fakes."""
    (g_forward, g_backward), (d_forward, d_backward) = task.passes
    order = (
        (g_forward, 1, 0),
        (d_forward, 2, 1),
        (d_backward, 2, 1),
        (d_forward, 1, 1),
        (d_backward, 1, 1),
        (g_backward, 1, 0),
    )
    for one, together, network in order:
        clocks_s, server_s = _pass(one, together, task.class_of, choice[:, network], clocks_s, server_s)
    return clocks_s, server_s


def _pass(
    one: Pass, together: int, class_of: Ints, cut_of: Ints, clocks_s: Floats, server_s: float
) -> tuple[Floats, float]:
    enter, leave = one.enter[cut_of], one.leave[cut_of]
    ready_s = clocks_s + together * one.ready_s[class_of, enter]
    left_s = np.zeros(len(cut_of))
    last = one.num_blocks - 1
    for block in range(1, last):
        entering = enter == block - 1
        if entering.any():
            server_s = max(server_s, float(ready_s[entering].max()))
        inside = int(((enter < block) & (leave < last - block)).sum())
        server_s += together * float(one.block_s[block]) * inside
        left_s[leave == last - 1 - block] = server_s
    return left_s + together * one.finish_s[class_of, leave], server_s
