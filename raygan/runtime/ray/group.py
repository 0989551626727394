"""Replicas of a server as a group of `torch.distributed`: gloo, or NCCL where each has a GPU of its own.

The first one listens on its node's address for the others to find each other; they exchange numbers directly. Sums are
put together piece by piece in the order of the ranks, which an all-reduce does not promise: each replica adds up its
piece of everybody's numbers, then all gather the pieces. A group that has lost a member stays broken: its servers are
all started again.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import psutil  # Ray ships it
import ray
import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import TCPStore

from raygan.errors import PeerLostError, reason
from raygan.parties.peers import Peers, in_order


@dataclass(frozen=True)
class Meeting:
    """Where the replicas find each other."""

    host: str
    port: int
    size: int
    timeout_s: float


class GroupMember:
    """One replica's end of the group; `open` in the first one's actor, then `join` in all."""

    def __init__(self) -> None:
        self._store: TCPStore | None = None

    def open(self, size: int, timeout_s: float) -> Meeting:
        """Listens, on the node's own address alone."""
        host = ray.util.get_node_ip_address()
        with socket.socket() as free:
            free.bind((host, 0))
            port = free.getsockname()[1]
            self._store = TCPStore(
                host, port, size, True, timedelta(seconds=timeout_s), False, master_listen_fd=free.detach()
            )
        return Meeting(host, port, size, timeout_s)

    def join(self, rank: int, meeting: Meeting, device: torch.device, own_gpu: bool) -> GroupPeers:
        """Connects with the others.

        Raises:
            RuntimeError: they cannot be reached within the meeting's time.
        """
        limit = timedelta(seconds=meeting.timeout_s)
        store = self._store or TCPStore(meeting.host, meeting.port, meeting.size, False, limit, False)
        os.environ.setdefault("GLOO_SOCKET_IFNAME", _interface_of(ray.util.get_node_ip_address()))
        backend = "nccl" if own_gpu else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=meeting.size, timeout=limit)
        dist.barrier()
        return GroupPeers(rank, meeting.size, device if own_gpu else torch.device("cpu"))


class GroupPeers(Peers):
    """The replicas of a group.

    Args:
        device: on which their numbers are exchanged.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        super().__init__(rank, size)
        self._device = device
        self._broken: str | None = None

    def check(self) -> None:
        """Refuses to go on with a group that has lost a member.

        Raises:
            PeerLostError: it has.
        """
        if self._broken is not None:
            raise PeerLostError(self._broken)

    def leave(self, why: str) -> None:
        """Ends the group, so that nobody waits for this one."""
        if self._broken is None:
            self._broken = why
            dist.destroy_process_group()

    def _gathered(self, mine: Tensor) -> Tensor:
        return self._exchanged(mine, self._all)

    def _summed(self, mine: Tensor) -> Tensor:
        return self._exchanged(mine, self._sum)

    def _exchanged(self, mine: Tensor, exchange: Callable[[Tensor], Tensor]) -> Tensor:
        self.check()
        try:
            return exchange(mine.to(self._device).contiguous()).to(mine.device)
        except RuntimeError as error:
            self.leave(f"another replica of the body is gone ({reason(error)})")
            raise PeerLostError(str(self._broken)) from None

    def _all(self, mine: Tensor) -> Tensor:
        found = mine.new_empty(self.size, len(mine))
        dist.all_gather(list(found.unbind()), mine)
        return found

    def _sum(self, mine: Tensor) -> Tensor:
        piece = self.piece(len(mine))
        padded = mine.new_zeros(piece * self.size)
        padded[: len(mine)] = mine
        of_all = torch.empty_like(padded)
        dist.all_to_all_single(of_all, padded)  # row r: this one's piece of what r has
        return self._all(in_order(of_all.view(self.size, piece))).flatten()[: len(mine)]


def _interface_of(address: str) -> str:
    """The network interface that has an address: gloo's own choice is a guess by the host's name."""
    for name, addresses in psutil.net_if_addrs().items():
        if any(entry.address == address for entry in addresses):
            return name
    return "lo"
