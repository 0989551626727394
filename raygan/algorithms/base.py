"""What an algorithm is: which parties it needs, how a round goes, and which models that gives.

The engine (`raygan.run`) drives any of them: participation, stragglers, recovery, checkpoints, resume, scores, pictures,
report, Tune and telemetry know an algorithm by this interface alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from raygan.config.schema import Config
from raygan.cuts.fleet import FleetCost
from raygan.names import BlockKey, Weights
from raygan.nn.spec import NetworkSpec
from raygan.parties.base import Server, Worker
from raygan.parties.layout import ClientPlan, Layout
from raygan.parties.spec import Parties
from raygan.runtime.backend import Reference, together
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.wire.records import BlockAverage, Lost, Spending

WorkerT = TypeVar("WorkerT", bound=Worker)
ServerT = TypeVar("ServerT", bound=Server)
Document = Mapping[str, Any]
"""A JSON object."""


@dataclass(frozen=True)
class Task:
    """What is to be trained, before an algorithm has made a plan of it."""

    config: Config
    clients: tuple[ClientPlan, ...]
    spec: NetworkSpec
    clients_per_actor: int
    documents: Mapping[str, Document] = field(default_factory=dict)
    """Of a run that goes on: what its algorithm had planned (`Algorithm.documents`)."""
    least_heads: tuple[int, ...] = ()
    """h of each client's head of D at least, by the policy of its site, where D is cut; empty: any."""


class ServerState(BaseModel):
    """What is known at the server between rounds; a part of every checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serves: dict[int, int] = {}
    """Client -> the model that it has, or is to have."""
    num_models: int = 0
    """Models that have ever been: the next new one gets this identity."""
    told: tuple[str, ...] = ()
    """Blocks of which the run has said that they are in no secure sum."""


@dataclass(frozen=True)
class Model:
    """What an algorithm gives out: both networks, with an identity that lasts from round to round."""

    identity: int
    clients: tuple[int, ...]
    """Of the round's clients, those that it serves."""
    blocks: Mapping[BlockKey, Reference[BlockAverage | Lost]]

    @property
    def all_blocks(self) -> Reference[Sequence[BlockAverage | Lost]]:
        """All blocks, as one argument."""
        return together(list(self.blocks.values()))

    def generator(self, weights: Weights) -> list[Reference[BlockAverage | Lost]]:
        """The generator's blocks, in order, or those of their average."""
        averages = [reference for key, reference in self.blocks.items() if key[0] == "average"]
        last = [reference for key, reference in self.blocks.items() if key[0] == "generator"]
        return averages if averages and weights == "average" else last


@dataclass(frozen=True)
class RoundResult:
    """What a round leaves behind: small records, and references to the models."""

    cohort: Cohort
    epochs: Epochs
    state: ServerState
    models: Mapping[int, Model]
    """By identity, ascending."""
    records: Mapping[str, Document] = field(default_factory=dict)
    """Lines of the algorithm's own files: `clusters` goes to `clusters.jsonl`."""
    faults: tuple[str, ...] = ()
    seconds: float = 0.0
    """Of all of it."""
    spending: Mapping[int, Spending] = field(default_factory=dict)
    """Client -> what it has spent of its privacy budget, as it last told."""

    @property
    def served(self) -> dict[int, int]:
        """Client -> its model, of the clients of the round, ascending."""
        return dict(sorted((client, model.identity) for model in self.models.values() for client in model.clients))


class Algorithm(ABC, Generic[WorkerT, ServerT]):
    """One way to train generators over the clients, planned for one run."""

    name: ClassVar[str]
    """Its name in the configuration."""
    style: ClassVar[str] = ""
    """In whose style it is, where the source does not say all: shown with the name. Empty: its source does."""
    worker_type: type[Worker]
    """What its clients run in; `Worker.sends` says what leaves them."""
    model_kind: ClassVar[str] = "model"
    """What files and people call its models: `cluster-0`."""
    models_from: ClassVar[str] = "aggregator"
    """Role of the parties that hold its models' blocks."""
    cuts_discriminators: ClassVar[bool] = False
    """Whether D is cut: a gradient of a gradient would have to cross then."""
    compares_logits: ClassVar[bool] = True
    """Whether D's logits on reals, of its update, are where G's loss is computed."""
    averages_clients: ClassVar[bool] = False
    """Whether its clients' networks are averaged, so that it may be done securely (`raygan/secure`)."""
    discloses: ClassVar[str | None] = "what nobody has looked through"
    """What leaves a client that depends on its images otherwise than through D's updates, in words: then D's differential
    privacy says nothing, and `privacy.dp` is refused. None: nothing does."""
    record_names: ClassVar[tuple[str, ...]] = ()
    """Its own files of lines, one a round (`RoundResult.records`)."""
    reads: ClassVar[frozenset[str]] = frozenset()
    """Of the keys that not every algorithm reads (`raygan.run.plan.OPTIONAL`), its own."""

    layout: Layout[Any]

    @classmethod
    @abstractmethod
    def plan(cls, task: Task) -> Algorithm[WorkerT, ServerT]:
        """Decides all that is known before any party starts.

        Raises:
            InputError: what a user must mend.
        """

    @classmethod
    def plans_by_rounds(cls, config: Config) -> bool:
        """Whether what a round does depends on how many there are, so that a run cannot be given more."""
        return False

    @classmethod
    def shown(cls) -> str:
        """Its name, as people read it."""
        return f"{cls.name} ({cls.style})" if cls.style else cls.name

    @property
    def documents(self) -> Mapping[str, Document]:
        """What it has planned, for the run's folder: `cuts` becomes `cuts.json`."""
        return {}

    @property
    def cost(self) -> FleetCost | None:
        """What it costs on the fleet, as predicted; None: nobody has said."""
        return None

    @abstractmethod
    def parties(self) -> Parties:
        """The parties that it needs."""

    def prepare(self, federation: Federation[WorkerT, ServerT]) -> None:
        """What the parties do before the first round after a start: nothing. They have what a checkpoint has of them."""

    def init(self) -> ServerState:
        """The state before the first round."""
        return ServerState()

    @abstractmethod
    def round(self, federation: Federation[WorkerT, ServerT], state: ServerState, cohort: Cohort) -> RoundResult:
        """One round.

        Raises:
            RoundLost: something was lost without which it cannot go on.
            StoppedError: too few clients are left.
        """

    @abstractmethod
    def rejoin(
        self, federation: Federation[WorkerT, ServerT], result: RoundResult, back: Back
    ) -> Reference[Lost | None] | None:
        """Brings clients up to date that are not in a round's models; None: there is nothing to do."""

    def measures(self, result: RoundResult, domains: Mapping[int, int]) -> Document:
        """Its own entries of the round's line in `metrics.jsonl`.

        Args:
            domains: client -> index of its domain, which is known to measurements only.
        """
        return {}


@dataclass(frozen=True)
class Back:
    """Clients of one worker that come back after a round."""

    worker: int
    clients: Sequence[int]
    restarted: bool
    """Whether the worker was started again and has lost its state; else they were late, or were not drawn."""
    checkpoint: str | None
    """Folder of the run's last whole checkpoint; None: there is none yet."""
    sources: Mapping[int, str] = field(default_factory=dict)
    """Each of the worker's clients -> the file in it with its state, as for `Worker.restore`."""
