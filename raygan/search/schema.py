"""A search's file: frozen, typed, every field documented, unknown keys refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from raygan.config.numbers import Count, Finite, Number, Positive
from raygan.config.schema import Section
from raygan.errors import instead_of
from raygan.search.domain import Domain, parse_domain

Space = Annotated[Domain, BeforeValidator(parse_domain)]
VARIANT = "variant"
"""The key of a point that says which variant it is."""
Mode = Literal["max", "min"]
CHANGING = ("pbt", "pb2", "pbt_replay")
"""Schedulers that change the keys of a trial on its way."""


def _listed(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else (value,)


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _by_name(value: Any) -> Any:
    return {name: {} for name in value} if isinstance(value, list) else value


Loggers = Annotated[dict[Literal["mlflow", "wandb"], dict[str, Any]], BeforeValidator(_by_name)]


class SchedulerConfig(Section):
    """Which trials go on. Other keys are arguments of Ray Tune's class, checked against its signature."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    name: Literal["asha", "hyperband", "hb_bohb", "median", "pbt", "pb2", "pbt_replay"]
    """`asha` stops bad trials at rungs, `hyperband` in brackets that wait for all of theirs (`hb_bohb`: for the searcher
    `bohb`), `median` those below the median; `pbt` lets bad ones go on from good ones' checkpoints with changed keys
    (`hyperparam_mutations`), `pb2` with keys that a model chooses (`hyperparam_bounds`: key -> [low, high]), `pbt_replay`
    as one of them did (`policy_file`)."""

    @property
    def arguments(self) -> dict[str, Any]:
        """The other keys."""
        return dict(self.model_extra or {})


class SearcherConfig(Section):
    """Where the next trial's values come from. Other keys are arguments of Ray Tune's class, checked against its
    signature."""

    model_config = ConfigDict(extra="allow", frozen=True, use_attribute_docstrings=True)

    name: Literal["random", "grid", "optuna", "ax", "bayesopt", "bohb", "hebo", "hyperopt", "nevergrad", "zoopt"] = (
        "random"
    )
    """`random` draws (and crosses the grids), `grid` tries every value; the others, Ray Tune's own, each with the package
    of its name, learn from the trials before."""
    sampler: Literal["tpe", "nsga2", "random"] | None = None
    """Of Optuna; None: `tpe`."""
    startup_trials: Count | None = None
    """Random trials before Optuna's `tpe` begins to learn; None: 10."""

    @property
    def learns(self) -> bool:
        """Whether it learns from the trials before, and so does not know them all beforehand."""
        return self.name not in ("random", "grid")

    @property
    def arguments(self) -> dict[str, Any]:
        """The other keys."""
        return dict(self.model_extra or {})


class StopConfig(Section):
    """When to stop before the last round."""

    score: Finite | None = None
    """A trial whose first metric has come this far; None: no such rule."""
    plateau_rounds: Annotated[int, Number, Field(ge=2)] | None = None
    """A trial whose first metric has not varied for this many rounds; None: no such rule."""
    plateau_std: Positive = 0.005
    """Standard deviation under which a metric does not vary."""
    trial_seconds: Positive | None = None
    """A trial that has taken this long, at the end of its round; None: no limit."""
    seconds: Positive | None = None
    """The whole search; None: no limit."""


class TrialResources(Section):
    """What a trial reserves beside what its actors ask for (their profiles' resources, the body's)."""

    cpus_per_trial: Annotated[float, Number, Field(ge=0, allow_inf_nan=False)] = 1
    """CPUs: the share of the machine that one federation is meant to have."""
    gpus_per_trial: Annotated[float, Number, Field(ge=0, allow_inf_nan=False)] = 0
    """GPUs, of the process that drives the trial."""


class SearchConfig(Section):
    """A whole search."""

    name: str | None = None
    """What the search is called; None: as its file."""
    question: str | None = None
    """What the search is to answer: the title of its table. None: `Which ... is best?` with the keys."""
    base: str | dict[str, Any] = Field(default={})
    """The configuration that all trials share: keys and values, or the path of a file, from the search's file."""
    paths_from: str | None = None
    """Folder where relative paths of data start; None: the current one."""
    space: dict[str, Space] = Field(default={})
    """Dotted configuration key -> what it may become (`raygan/search/domain.py`)."""
    variants: dict[str, dict[str, Any]] = Field(default={})
    """Name -> keys and values that change the base, such as `{algorithm: fed_gan}`: each is tried, with every point of
    the space. `raygan compare` compares them. `all`, in the file: every algorithm, and the method without its parts."""
    reference: str | None = None
    """The variant that the others are compared with; None: the first."""
    conditional: str | None = None
    """Import path `package.module:function`; it takes the keys chosen so far and returns more keys, each a value or a
    space. None: no more keys."""
    metric: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] = ("label_agreement",)
    """What to optimise; several for a trade-off. The first one drives scheduler and stop rules, and picks the best."""
    mode: Annotated[tuple[Mode, ...], BeforeValidator(_listed), Field(min_length=1)] = ("max",)
    """`max` or `min`, for each metric."""
    samples: Count = 1
    """How often to draw (each time the grids are crossed anew)."""
    seed: Annotated[int, Number, Field(ge=0)] = 0
    """Of the draws."""
    seeds: Annotated[tuple[Annotated[int, Number, Field(ge=0, lt=2**32)], ...], Field(min_length=1)] = (0,)
    """Each point is run once with each of these as the configuration's `seed`."""
    concurrency: Count = 1
    """Trials that run at a time."""
    searcher: Annotated[SearcherConfig, BeforeValidator(_named)] = SearcherConfig()
    """Where values come from."""
    scheduler: Annotated[SchedulerConfig | None, BeforeValidator(_named)] = None
    """Which trials go on; None: all."""
    stop: StopConfig = StopConfig()
    """When to stop early."""
    in_process: bool = False
    """Whether each trial runs in the process that drives it instead of as actors of its own: equal numbers, and no actors
    to start; one trial then has one process's speed, `resources.cpus_per_trial` is all that it asks for."""
    resources: TrialResources = TrialResources()
    """What a trial reserves."""
    max_failures: Annotated[int, Number, Field(ge=0)] = 2
    """How often a trial that fails is tried again from its last round."""
    callbacks: Loggers = Field(default={})
    """Loggers beside TensorBoard, CSV and JSON, with the arguments of Ray's callback."""

    @model_validator(mode="after")
    def _fits_together(self) -> SearchConfig:
        if len(self.mode) not in (1, len(self.metric)):
            raise ValueError(f"mode: {len(self.mode)} modes for {len(self.metric)} metrics; give one, or one for each")
        if len(set(self.metric)) < len(self.metric):
            raise ValueError("metric: the same metric twice; give each once")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("seeds: the same seed twice; give each once")
        if not self.space and not self.variants:
            raise ValueError("space: nothing to try; give keys with what they may become, or variants")
        if VARIANT in self.space:
            raise ValueError(f"space.{VARIANT}: variants are no key of a configuration; give them under variants")
        if self.reference is not None and self.reference not in self.variants:
            known = instead_of(self.reference, list(self.variants))
            raise ValueError(f"reference: {self.reference!r} is no variant; {known}")
        if "seed" in self.space:
            raise ValueError("space.seed: a seed is not searched; give seeds: [0, 1, ...] instead")
        self._check_searcher()
        return self

    def _check_searcher(self) -> None:
        ranges = [key for key, domain in self.space.items() if domain.is_range]
        if self.searcher.name == "grid" and ranges:
            raise ValueError(f"space.{ranges[0]}: a range has no grid; give its values, or searcher: random")
        name = self.searcher.name
        if name != "optuna" and (self.searcher.sampler or self.searcher.startup_trials):
            raise ValueError("searcher: sampler and startup_trials are Optuna's; give name: optuna")
        scheduler = None if self.scheduler is None else self.scheduler.name
        if (name == "bohb") != (scheduler == "hb_bohb"):
            raise ValueError("searcher: bohb and the scheduler hb_bohb work together only; give both, or neither")
        if not self.searcher.learns:
            if self.searcher.arguments:
                key = next(iter(self.searcher.arguments))
                raise ValueError(f"searcher.{key}: {name} has no such argument; leave it out")
            return
        if scheduler in CHANGING:
            raise ValueError(f"scheduler: {scheduler} changes what {name} has chosen; give searcher: random")
        self._check_learner(name)

    def _check_learner(self, name: str) -> None:
        kinds = {domain.kind: key for key, domain in self.space.items()}
        if "grid" in kinds:
            raise ValueError(f"space.{kinds['grid']}: {name} draws and does not cross grids; write choice")
        if len(self.seeds) > 1:
            raise ValueError(f"seeds: several with {name}, which takes every trial for a new point; give one")
        if self.conditional is not None and name != "optuna":
            raise ValueError(f"conditional: {name} wants its space beforehand; give searcher: optuna or random")
        if name == "bayesopt" and (whole := kinds.get("choice") or kinds.get("randint")):
            raise ValueError(f"space.{whole}: bayesopt takes ranges of numbers only; give searcher: optuna")

    @property
    def modes(self) -> tuple[Mode, ...]:
        """One mode for each metric."""
        return self.mode if len(self.mode) == len(self.metric) else self.mode * len(self.metric)
