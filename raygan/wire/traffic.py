"""What crossed: records and bytes by link, counted by the actors at the ends of the links."""

from __future__ import annotations

from raygan.wire.records import Count, Link, Traffic


class TrafficCounter:
    """One actor's counts since they were last taken."""

    def __init__(self) -> None:
        self._counts: dict[Link, tuple[int, int]] = {}

    def add(self, source: str, target: str, kind: str, num_bytes: int, client: int | None = None) -> None:
        """Counts one record.

        Args:
            source, target: roles: `client`, `body`, `server`, `aggregator`, `evaluator`.
            kind: the record's type.
            client: whose it is, for activations and gradients.
        """
        link = Link(source, target, kind, client)
        records, so_far = self._counts.get(link, (0, 0))
        self._counts[link] = (records + 1, so_far + num_bytes)

    def refused(self, source: str, target: str, kind: str) -> None:
        """Counts one that did not cross, or was not taken: `NAME (refused)`, of no bytes.

        Args:
            source, target: as above; `site`: where a client's data lies, by its owner's policy.
            kind: the record's type; `Images` of a client's data.
        """
        self.add(source, target, f"{kind} (refused)", 0)

    def forget(self) -> None:
        """Begins anew: the counts of a round that was lost are nobody's."""
        self._counts = {}

    def take(self) -> Traffic:
        """The counts, which begin anew."""
        traffic = Traffic(tuple(Count(link, *counts) for link, counts in sorted(self._counts.items(), key=str)))
        self._counts = {}
        return traffic
