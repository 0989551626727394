"""Client hosts that are lost or were left out of a round: started again, let in again, or set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raygan.algorithms.huscf import RoundLost, RoundResult, load_averages
from raygan.errors import StoppedError
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.metrics import cluster_record
from raygan.run.participation import last_clusters
from raygan.run.plan import Plan
from raygan.runtime.backend import Group, Reference
from raygan.storage import read_json_lines
from raygan.wire.records import Lost

JOIN_SECONDS = 30.0
"""A new actor is waited for so long; one whose node is gone may take minutes, and joins after a later round."""
LOOK_SECONDS = 0.05
"""Those that have been waited for are looked for."""


class Hosts:
    """The client hosts of one run between its rounds."""

    def __init__(self, plan: Plan, folder: RunFolder, group: Group, listener: Listener) -> None:
        self._layout, self._config = plan.layout, plan.config
        self._folder, self._group, self._listener = folder, group, listener
        self._losses: Counter[int] = Counter()
        """Host -> how often it was lost since it last ended a round."""
        self._counted: set[int] = set()
        """Hosts whose loss in this round is counted."""
        self._awaited: set[int] = set()
        """Hosts that were started again and have not joined yet."""
        self._patient = False
        """Whether somebody has been started since they were last waited for."""
        self._readmitted: dict[int, Reference] = {}
        """Host -> whether it has taken over an average, since the last checkpoint."""
        self.given_up: set[int] = set()
        """Hosts that are set aside."""

    def after_round(self, result: RoundResult) -> None:
        """Lost hosts are started again, and everybody who is not in the round's average takes it over.

        Raises:
            StoppedError: too few clients are left.
        """
        lost, present = result.epochs.lost, self._group.hosts
        for host in [host for host in self._losses if host in present and host not in lost]:
            del self._losses[host]  # who ends a round begins anew
        self._counted = set()
        for host, reason in lost.items():
            self._replace(host, reason)
        self._let_in(result)
        self._readmit(result)

    def lost_while_saving(self, hosts: Iterable[int], result: RoundResult) -> None:
        """As `after_round`, for hosts that were lost since then."""
        for host in hosts:
            result.epochs.lost.setdefault(host, "lost while saving")
            self._replace(host, "lost while saving")
        self._let_in(result)

    def start_again(self, hosts: Iterable[int]) -> None:
        """New actors for these hosts, at no round's state yet; returns when they, or some at least, are there.

        Raises:
            StoppedError: too few clients are left.
        """
        self._readmitted = {}
        for host in list(hosts):
            self._restart(host)
        self._join()

    def last_clusters(self, more: Sequence[Mapping[str, Any]] = ()) -> dict[int, int]:
        """Client -> the cluster whose average it has, or is to have, after the last round.

        Args:
            more: lines that `clusters.jsonl` does not have yet.
        """
        rounds = [*read_json_lines(self._folder.clusters_file), *more]
        return last_clusters(rounds, range(len(self._layout.clients)))

    def give_up(self, host: int) -> None:
        """Sets a host aside for good."""
        self._group.set_aside(host)
        self._readmitted.pop(host, None)
        self._awaited.discard(host)
        self.given_up.add(host)

    def check_readmitted(self) -> None:
        """Waits until those who were to take over an average have it.

        Raises:
            RoundLost: one that is alive has none, which tells of a lost aggregator.
        """
        hosts = list(self._readmitted)
        answers = self._group.fetch([self._readmitted.pop(host) for host in hosts])
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, Lost) and self._group.alive(self._group.hosts[host]):
                raise RoundLost(answer.reason)

    def _replace(self, host: int, reason: str) -> None:
        """Starts a lost host again; sets it aside if it keeps dying."""
        if host not in self._counted:
            self._losses[host] += 1
            self._counted.add(host)
        name = self._layout.hosts[host].name
        if self._losses[host] > self._config.ray.max_restarts:
            self._set_aside(host, f"lost {self._losses[host]} times in a row ({reason})")
            return
        self._listener.on_fault(f"{name} was lost ({reason}); it takes part again once it is back")
        self._restart(host)

    def _restart(self, host: int) -> None:
        self._group.restart_host(host)
        self._readmitted.pop(host, None)
        self._awaited.add(host)
        self._patient = True

    def _let_in(self, result: RoundResult) -> None:
        """Those that are back take over their clusters' averages."""
        joined = self._join()
        clusters = self._clusters_after(result) if joined else {}
        for host in joined:
            self._take_over(host, clusters, result)

    def _join(self) -> list[int]:
        """The hosts that have joined: waits until there is one at least, since a round needs somebody."""
        joined = self._look()
        while self._awaited and not self._group.hosts:
            self._patient = True
            joined += self._look()
        return joined

    def _look(self) -> list[int]:
        """The hosts that have joined by now; one that cannot do its work is set aside, one that died is started again."""
        ended = self._group.join(JOIN_SECONDS if self._patient else LOOK_SECONDS) if self._awaited else {}
        self._patient = False
        self._awaited -= ended.keys()
        for host, fault in ended.items():
            if isinstance(fault, Lost):
                self._counted.discard(host)
                self._replace(host, fault.reason)
            elif fault is not None:
                self._set_aside(host, f"started again and found unfit ({fault.where}: {fault.found})")
        return [host for host, fault in ended.items() if fault is None]

    def _set_aside(self, host: int, reason: str) -> None:
        name, needed = self._layout.hosts[host].name, self._config.training.min_clients
        left = [
            plan.client
            for plan in self._layout.clients
            if self._layout.host_of[plan.client] not in {host, *self.given_up}
        ]
        if len(left) < needed:
            raise StoppedError(
                f"{name} was {reason}, and without it {len(left)} of at least {needed} clients "
                f"(training.min_clients) are left: stopped"
            )
        self._listener.on_fault(f"{name} is set aside: {reason}")
        self.give_up(host)

    def _readmit(self, result: RoundResult) -> None:
        """Clients that are not in the round's average, late ones and those that were not drawn, take it over."""
        if len(result.assignment.cluster) == len(self._layout.clients):
            return
        given = self._clusters_after(result)
        left_out = {c: k for c, k in given.items() if c not in result.assignment.cluster}
        for host in self._group.hosts:
            if left_out.keys() & set(self._layout.hosts[host].ids) and host not in self._readmitted:
                self._take_over(host, left_out, result)

    def _take_over(self, host: int, cluster: Mapping[int, int], result: RoundResult) -> None:
        answer = load_averages(self._group, self._layout, host, cluster, result.averages, "readmit")
        self._readmitted[host] = answer

    def _clusters_after(self, result: RoundResult) -> dict[int, int]:
        """Client -> the cluster of this round whose average it has, or is to have."""
        return self.last_clusters([cluster_record(result.round, result.assignment)])
