"""Replicas that exchange numbers as processes of a group: sums in the order of the ranks, and a member that is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch

from raygan.errors import PeerLostError
from raygan.runtime.ray.group import GroupMember, Meeting

SIZE = 3
ORDERED = torch.tensor([[1e8, 1.0], [-1e8, 1e8], [1.0, -1e8]])
"""Of three ranks: in float32, (1e8 - 1e8) + 1 is 1, and (1 + 1e8) - 1e8 is 0."""


def member(rank: int, pipe: Connection) -> None:
    """One replica: what it was sent, or which error it got."""
    torch.set_num_threads(1)
    mine = GroupMember()
    if rank == 0:
        pipe.send(mine.open(SIZE, 60.0))
    peers = mine.join(rank, pipe.recv(), torch.device("cpu"), own_gpu=False)
    odd = torch.arange(5, dtype=torch.float64) + 10 * rank  # no multiple of the number of ranks
    pipe.send((peers.total(ORDERED[rank]).numpy(), peers.gather(odd).numpy(), peers.total(odd).numpy()))
    pipe.send(peers.sent_bytes)
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    errors = []
    for _ in range(2):
        try:
            peers.total(odd)
        except PeerLostError as error:
            errors.append(str(error))
    pipe.send(errors)


def test_sums_are_in_order_and_a_lost_member_is_told() -> None:
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for rank in range(SIZE):
        here, there = context.Pipe()
        processes.append(context.Process(target=member, args=(rank, there), daemon=True))
        processes[-1].start()
        there.close()
        pipes.append(here)
    meeting: Meeting = pipes[0].recv()
    for pipe in pipes:
        pipe.send(meeting)
    answers: list[tuple[Any, ...]] = [pipe.recv() for pipe in pipes]
    sent = [pipe.recv() for pipe in pipes]
    rows = np.arange(5) + 10.0 * np.arange(SIZE)[:, None]
    for ordered, gathered, total in answers:
        assert ordered.tolist() == [1.0, 0.0]
        assert np.array_equal(gathered, rows)
        assert np.array_equal(total, rows.sum(0))
    assert sent == [2 * 4 * 2 * 1 + 2 * 40 + 2 * 2 * 2 * 8] * SIZE, "pieces of 1 and of 2 numbers, there and back"
    for rank in (0, 2):
        errors = pipes[rank].recv()
        assert len(errors) == 2
        assert errors[0].startswith("another replica of the body is gone")
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0, -signal.SIGKILL, 0]
