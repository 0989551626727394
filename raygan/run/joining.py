"""Clients that join a run that goes on, or leave it: what they begin with, and what cannot be done.

Numbers never change: who joins gets the next ones (`raygan.config.members`). A new client begins with the average of its
domain's cluster, or of the largest where its domain is new, and with new optimizers. Who has left is in no average.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raygan.algorithms import algorithm_of
from raygan.algorithms.base import ServerState
from raygan.config.choices import ALGORITHMS
from raygan.config.schema import Config, DataConfig, Joined
from raygan.data import CommonShape, DomainInfo, common_shape, domain_names
from raygan.errors import ConfigError, DataError
from raygan.parties.layout import Layout
from raygan.run.checkpoints import Checkpoints, Manifest
from raygan.run.folder import RunFolder
from raygan.run.plan import Plan
from raygan.storage import whole_json_lines

MAX_NAMED = 8
"""Clients in a line."""


def state_after(manifest: Manifest, initial: ServerState, layout: Layout[Any]) -> ServerState:
    """What the server knew after a checkpoint's round, of the clients that there are now.

    Args:
        initial: what it knows before the first round, for its form.

    Raises:
        RunError: the state is another algorithm's.
    """
    state = manifest.server_state(initial, layout.ids)
    if not state.serves or state.serves.keys() == set(layout.ids):
        return state
    return state.model_copy(update={"serves": serves_now(state.serves, layout.domains)})


def serves_now(serves: Mapping[int, int], domains: Mapping[int, int]) -> dict[int, int]:
    """Client -> its model, of the clients that there are now. A new one has the model of most of its domain's clients or,
    where its domain is new, of most clients; of several the first.

    Args:
        serves: client -> its model, of those that there were.
        domains: client -> index of its domain, of those that there are now.
    """
    stayed = {client: model for client, model in serves.items() if client in domains} or dict(serves)
    of_domain: dict[int, Counter[int]] = {}
    for client, model in stayed.items():
        of_domain.setdefault(domains.get(client, -1), Counter())[model] += 1
    everybody = Counter(stayed.values())
    return {
        client: serves[client] if client in serves else _most(of_domain.get(domain, everybody))
        for client, domain in sorted(domains.items())
    }


def _most(models: Counter[int]) -> int:
    return min(models, key=lambda model: (-models[model], model))


def with_joined(before: DataConfig, config: Config, num_rounds: int) -> Config:
    """The configuration with an entry in `data.joined` for clients that are more than before.

    Args:
        before: what the run knew of its clients.
        num_rounds: that are done.

    Raises:
        ConfigError: there are fewer: who leaves is named.
    """
    data = config.data
    if len(data.domains) < len(before.domains):
        index = _first_missing(before, data)
        found = f"{len(data.domains)} domains, but the run has {len(before.domains)}"
        raise ConfigError("data.domains", found, f"keep all of them, and name who leaves: {_left(before, index)}")
    known = Counter[int]()
    for entry in data.joined[len(before.joined) :]:
        known[entry.domain] += entry.clients
    entries = []
    for index, domain in enumerate(data.domains):
        was = before.domains[index].clients if index < len(before.domains) else 0
        if domain.clients < was:
            remedy = f"keep it, and name who leaves: {_left(before, index, domain.clients)}"
            raise ConfigError(f"data.domains.{index}.clients", f"{domain.clients} instead of {was}", remedy)
        more = domain.clients - was - known[index]
        if more < 0 or data.joined[: len(before.joined)] != before.joined:
            found, remedy = "is not as the run wrote it", "put it back, and give a domain more clients instead"
            raise ConfigError("data.joined", found, remedy)
        if more:
            entries.append(Joined(domain=index, clients=more, after_round=num_rounds))
    if not entries:
        return config
    grown = data.model_copy(update={"joined": (*data.joined, *entries)})
    return config.model_copy(update={"data": grown})


def _first_missing(before: DataConfig, now: DataConfig) -> int:
    """Index of the first domain that is not where it was."""
    pairs = zip(before.domains, now.domains, strict=False)
    return next((i for i, (old, new) in enumerate(pairs) if old.source != new.source), len(now.domains))


def _left(before: DataConfig, domain: int, kept: int = 0) -> str:
    """Such as `data.left=[3,4]`: those who have left, and the last clients of a domain."""
    mine = [member.client for member in before.everybody if member.domain == domain]
    return f"data.left={sorted({*before.left, *mine[kept:]})}".replace(" ", "")


def check_members(before: DataConfig, config: Config, num_rounds: int) -> bool:
    """Whether clients have joined or left since.

    Args:
        num_rounds: that are done.

    Raises:
        ConfigError: they have, and it cannot be.
    """
    there = [{member.client for member in data.members} for data in (before, config.data)]
    if there[0] == there[1]:
        return False
    chosen, where = algorithm_of(config.algorithm), "data.left" if there[0] - there[1] else "data.domains"
    if not chosen.averages_clients:
        able = ", ".join(name for name in ALGORITHMS if algorithm_of(name).averages_clients)
        found = f"clients join or leave, but {chosen.name} averages no clients that new ones could begin with"
        raise ConfigError(where, found, f"put it back, or train a new run (these can: {able})")
    for key, value in (("dp", config.privacy.dp), ("hide_discriminator", config.privacy.hide_discriminator)):
        if value:
            found = f"clients join or leave, but privacy.{key} is agreed upon by all of them when the run begins"
            raise ConfigError(where, found, "put it back, or train a new run")
    if num_rounds >= config.training.rounds:
        found = f"{config.training.rounds}, and all are done: there is no round that clients could join or leave"
        raise ConfigError("training.rounds", found, "raise it too")
    return True


def check_new_domains(known: Sequence[DomainInfo], now: Sequence[DomainInfo], config: Config) -> None:
    """Whether the run's networks and labels are those of its new domains too.

    Args:
        known: the domains that the run had.
        now: all.

    Raises:
        DataError: they are not.
    """
    if len(now) <= len(known):
        return
    shapes = [common_shape(config.model, infos) for infos in (known, now)]
    if shapes[0] != shapes[1]:
        was, found = (_told(shape) for shape in shapes)
        raise DataError(
            f"data.domains[{len(known)}]",
            f"makes it {found}, but the run's networks are for {was}",
            "convert or limit the new domain, or train a new run with it",
        )
    for old, new in zip(known, now, strict=False):
        if old.classes != new.classes and set(old.classes) <= set(new.classes):
            others = ", ".join(map(repr, [name for name in new.classes if name not in old.classes][:3]))
            found = f"has classes ({others or 'in another order'}) that would number those of the run anew"
            raise DataError(
                f"data.domains[{len(known)}]", found, "name its classes otherwise, or train a new run with it"
            )


def _told(shape: CommonShape) -> str:
    return f"{shape.num_classes} classes and {'grey' if shape.channels == 1 else 'coloured'} images"


def with_news(plan: Plan, before: DataConfig, folder: RunFolder) -> Plan:
    """The plan with a line for those who have joined a domain, and one for those who have left: the next round's line in
    `metrics.jsonl` has them.

    Args:
        before: what the last checkpoint knew of the clients.
    """
    checkpoints = Checkpoints(folder.checkpoints, plan.config.checkpoints)
    last = checkpoints.last_whole(len(whole_json_lines(folder.metrics_file)[0]))
    state = state_after(checkpoints.of(last - 1).manifest(), plan.algorithm.init(), plan.layout) if last else None
    was = {member.client for member in before.members}
    names, kind = domain_names(plan.config.data), plan.algorithm.model_kind
    lines = []
    for index, name in enumerate(names):
        new = [client for client, domain in plan.domains.items() if domain == index and client not in was]
        if new:
            models = {} if state is None else {state.serves[client]: None for client in new}
            begins = f", beginning with {kind} {', '.join(map(str, models))}" if models else ""
            lines.append(f"{_clients(new)} ({name}) joined{begins}")
    if gone := sorted(was - plan.domains.keys()):
        lines.append(f"{_clients(gone)} left")
    return replace(plan, warnings=(*plan.warnings, *lines))


def _clients(numbers: Sequence[int]) -> str:
    shown = ", ".join(f"{number:02d}" for number in numbers[:MAX_NAMED])
    more = f" and {len(numbers) - MAX_NAMED} more" if len(numbers) > MAX_NAMED else ""
    return f"client{'s' * (len(numbers) > 1)}-{shown}{more}"
