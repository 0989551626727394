"""Clients' privacy budgets as the engine knows them: what was spent is never forgotten, whatever is lost or taken back.

Each client counts its own noised updates, and stops at its budget. What a client forgets, since its actor died or the
run went back to a checkpoint, others may have seen: so before a round its updates are written down as begun
(`privacy.json`, which is never taken back), and count as made where nobody can tell any more. Where a run is to repeat
itself (`privacy.dp.seeded`), a round that is run again releases what it had released, and counts once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from raygan.config.schema import Config
from raygan.errors import StoppedError
from raygan.parties.base import Worker
from raygan.parties.budget import epsilon_of
from raygan.parties.layout import Layout
from raygan.run.events import Listener
from raygan.run.forms import Digits, Form, Whole, in_form
from raygan.runtime.backend import Backend, Reference
from raygan.runtime.steps import Cohort, Epochs
from raygan.secure import least_members
from raygan.storage import read_json, write_json
from raygan.wire.records import Lost, Spending


class BudgetsForm(Form):
    """`privacy.json`."""

    updates: Annotated[dict[Digits, Whole], Field(min_length=1)]
    begun: dict[Digits, Whole]


class Budgets:
    """Of all clients of a run; of a run without differential privacy there are none, and nothing is asked or written.

    Args:
        file: `RUN/privacy.json`.
    """

    def __init__(self, config: Config, layout: Layout[Any], file: Path, backend: Backend, listener: Listener) -> None:
        self._dp = config.privacy.dp
        self._needed = max(config.training.min_clients, least_members(config.privacy))
        self._layout, self._file, self._backend, self._listener = layout, file, backend, listener
        self._last: dict[int, Spending] = {}
        """What each client has told."""
        self._updates: dict[int, int] = {}
        """Made by each client, as far as anybody knows."""
        self._begun: dict[int, int] = {}
        """At most so many more, of rounds about which it has not told yet."""

    @property
    def spent(self) -> set[int]:
        """Clients that take no further part."""
        return {client for client, told in self._last.items() if self._updates[client] >= told.allowed}

    def restored(self) -> None:
        """After all parties have taken on the state of a checkpoint, or of the beginning."""
        if self._dp is None:
            return
        self._last |= self._asked(self._layout.worker_of.values())
        self._updates = {client: told.updates for client, told in self._last.items()}
        self._begun = {}
        if not self._dp.seeded and self._file.exists():
            kept = BudgetsForm.model_validate(in_form(BudgetsForm, read_json(self._file), str(self._file)))
            for client in self._updates:
                known = kept.updates.get(str(client), 0) + kept.begun.get(str(client), 0)
                self._updates[client] = max(self._updates[client], known)
        self._tell()
        self._last |= self._asked(self._layout.worker_of.values())

    def begin(self, cohort: Cohort) -> None:
        """Before a round: its updates count as begun."""
        if self._dp is None:
            return
        for client in cohort.clients:
            if client in self._last:
                left = self._last[client].allowed - self._updates[client]
                self._begun[client] = min(left, self._begun.get(client, 0) + cohort.num_steps)
        self._write()
        self._tell()

    def end(self, epochs: Epochs) -> Mapping[int, Spending]:
        """After a round: what each client has told of its budget; says whose is spent."""
        if self._dp is None:
            return {}
        before, workers = self.spent, self._layout.workers
        there = [worker for worker in self._backend.workers if worker not in epochs.gone]
        answers = self._asked(there)
        silent = (
            client for worker in {*epochs.lost, *there} for client in workers[worker].ids if client not in answers
        )
        for client in silent:  # lost, in the round or when it was asked
            self._updates[client] = self._updates.get(client, 0) + self._begun.pop(client, 0)
        for client, told in answers.items():
            self._last[client] = told
            self._updates[client] = max(self._updates.get(client, 0), told.updates)
            self._begun.pop(client, None)
        self._last = {client: self._counted(told) for client, told in self._last.items()}
        self._write()
        for client in sorted(self.spent - before):
            found = f"epsilon {self._last[client].epsilon:.4g} of {self._dp.epsilon:g}"
            self._listener.on_fault(f"client-{client:02d} has spent its privacy budget ({found}): its training ends")
        return dict(self._last)

    def are_spent(self, available: Iterable[int], num_rounds: int) -> bool:
        """Whether too few of these clients have budget left for another round; then it says so.

        Raises:
            StoppedError: no round has been done.
        """
        left = len(set(available) - self.spent) if self.spent else None
        if left is None or left >= self._needed:
            return False
        found = f"{left} of at least {self._needed} clients have privacy budget left (privacy.dp.epsilon)"
        if not num_rounds:
            raise StoppedError(f"{found}, and no round is done: rounds that were begun count as spent")
        self._listener.on_fault(f"{found}: the run ends after round {num_rounds}")
        return True

    def _counted(self, told: Spending) -> Spending:
        """What a client has told, with the updates that count as made: it may be lost, and tell nothing."""
        assert self._dp is not None
        updates = self._updates[told.client]
        if updates == told.updates:
            return told
        epsilon = epsilon_of(self._dp.noise_multiplier, told.sample_rate, updates, self._dp.delta)
        return replace(told, updates=updates, epsilon=epsilon)

    def _tell(self) -> None:
        for handle in self._backend.workers.values():
            handle.call(Worker.account, dict(self._updates))

    def _asked(self, workers: Iterable[int]) -> dict[int, Spending]:
        references: list[Reference[Spending]] = []
        for worker in dict.fromkeys(workers):
            if worker in self._backend.workers:
                handle, count = self._backend.workers[worker], len(self._layout.workers[worker].ids)
                references += handle.call_many(count, Worker.spending)
        answers = self._backend.fetch(references)
        return {answer.client: answer for answer in answers if not isinstance(answer, Lost)}

    def _write(self) -> None:
        tables = {"updates": self._updates, "begun": self._begun}
        write_json(self._file, {name: {str(c): n for c, n in sorted(of.items())} for name, of in tables.items()})
