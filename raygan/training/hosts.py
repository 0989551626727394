"""Client hosts that are lost or were left out of a round: started again, let in again, or set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from raygan.actors.group import Group, Reference
from raygan.errors import StoppedError
from raygan.messages import Lost
from raygan.storage import read_json_lines
from raygan.training.folder import RunFolder
from raygan.training.listener import Listener
from raygan.training.metrics import cluster_record
from raygan.training.participation import last_clusters
from raygan.training.plan import Plan
from raygan.training.round import RoundLost, RoundResult, load_averages


class Hosts:
    """The client hosts of one run between its rounds."""

    def __init__(self, plan: Plan, folder: RunFolder, group: Group, listener: Listener) -> None:
        self._layout, self._config = plan.layout, plan.config
        self._folder, self._group, self._listener = folder, group, listener
        self._losses: Counter[int] = Counter()
        """Host -> rounds in a row in which it was lost."""
        self._restarted: set[int] = set()
        """Hosts of which it is not known yet whether they could be built again."""
        self._readmitted: dict[int, Reference] = {}
        """Host -> whether it has taken over an average, since the last checkpoint."""

    def after_round(self, result: RoundResult) -> None:
        """Lost hosts are started again, and everybody who is not in the round's average takes it over.

        Raises:
            StoppedError: too few clients are left.
        """
        lost = result.epochs.lost
        self._losses = Counter(
            {host: self._losses[host] + 1 for host in lost}
        )  # who ends a round begins anew
        self._replace(lost, result)
        self._readmit(result)

    def lost_while_saving(self, lost: Mapping[int, str], result: RoundResult) -> None:
        """As `after_round`, for hosts that were lost since then.

        Args:
            lost: host -> why.
        """
        self._losses.update(list(lost))
        self._replace(lost, result)

    def restart(self, host: int) -> None:
        """A new actor in the place of one before."""
        self._group.restart_host(host)
        self._restarted.add(host)

    def forget_readmissions(self) -> None:
        """All hosts are about to go back to a checkpoint."""
        self._readmitted = {}

    def drop_unfit(self) -> None:
        """Sets those aside that were started again and cannot take part, such as one whose data file is damaged.

        Raises:
            StoppedError: too few clients are left.
        """
        for host in sorted(self._restarted & self._group.hosts.keys()):
            fault = self._group.fault(self._group.hosts[host])
            if fault is not None:
                self._set_aside(host, f"started again and found unfit ({fault.where}: {fault.found})")
        self._restarted.clear()

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

    def _replace(self, lost: Mapping[int, str], result: RoundResult) -> None:
        """Starts lost hosts again with their clusters' averages; sets one aside that keeps dying."""
        clusters = self._last_clusters(result) if lost else {}
        for host, reason in lost.items():
            name = self._layout.hosts[host].name
            if self._losses[host] > self._config.ray.max_restarts:
                self._set_aside(host, f"lost in {self._losses[host]} rounds in a row ({reason})")
                continue
            self._listener.on_fault(f"{name} was lost ({reason}); it takes part again from the next round")
            self.restart(host)
            self._take_over(host, clusters, result)
        self.drop_unfit()

    def _set_aside(self, host: int, reason: str) -> None:
        name, needed = self._layout.hosts[host].name, self._config.training.min_clients
        left = [
            client for other in self._group.hosts if other != host for client in self._layout.hosts[other].ids
        ]
        if len(left) < needed:
            raise StoppedError(
                f"{name} was {reason}, and without it {len(left)} of at least {needed} clients "
                f"(training.min_clients) are left: stopped"
            )
        self._listener.on_fault(f"{name} is set aside: {reason}")
        self._group.set_aside(host)
        self._readmitted.pop(host, None)

    def _readmit(self, result: RoundResult) -> None:
        """Clients that are not in the round's average, late ones and those that were not drawn, take it over."""
        if len(result.assignment.cluster) == len(self._layout.clients):
            return
        given = self._last_clusters(result)
        left_out = {c: k for c, k in given.items() if c not in result.assignment.cluster}
        for host in self._group.hosts:
            if left_out.keys() & set(self._layout.hosts[host].ids) and host not in self._readmitted:
                self._take_over(host, left_out, result)

    def _take_over(self, host: int, cluster: Mapping[int, int], result: RoundResult) -> None:
        answer = load_averages(self._group, self._layout, host, cluster, result.averages, "readmit")
        self._readmitted[host] = answer

    def _last_clusters(self, result: RoundResult) -> dict[int, int]:
        """Client -> the cluster of this round whose average it has, or is to have."""
        rounds = [cluster_record(result.round, result.assignment)]
        return last_clusters(
            [*read_json_lines(self._folder.clusters_file), *rounds], range(len(self._layout.clients))
        )
