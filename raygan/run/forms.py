"""The forms of a run's files as far as they are read again: what is damaged or edited is found when it is read.

Every form allows more keys than it names: a run's lines may grow.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    create_model,
    model_validator,
)

from raygan.errors import RunError
from raygan.scores import SCORES, Score


class Form(BaseModel):
    """Part of a file."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


Whole = Annotated[int, Field(ge=0, lt=2**53)]
Real = Annotated[float, BeforeValidator(lambda value: float(value) if type(value) is int else value)]
Share = Annotated[Real, Field(ge=0, le=1)]
Digits = Annotated[str, Field(pattern=r"^[0-9]{1,9}$")]


class Scores(Form):
    """Scores of a domain, a cluster or real images."""

    images: Whole | None

    @model_validator(mode="after")
    def _registered(self) -> Scores:
        _form_of(tuple(SCORES.values())).model_validate(self.model_extra)
        return self


@cache
def _form_of(scores: tuple[Score, ...]) -> type[Form]:
    """The form of the scores' own keys, all of which may be missing."""
    fields: dict[str, Any] = {}
    for score in scores:
        number: Any = (Share if score.is_share else Real) if score.is_number else dict[str, Real]
        fields[score.name] = (number | None, None)
    return create_model("RegisteredScores", __base__=Form, **fields)


class DomainForm(Scores):
    """Scores of a domain."""

    clusters: dict[Digits, Scores] = {}
    real: Scores | None = None


class LinkForm(Form):
    """One kind of record on one link."""

    records: Whole
    bytes: Whole


class LineForm(Form):
    """A line of one round."""

    round: Annotated[Whole, Field(ge=1)]


class PrivacyForm(Form):
    """What clients have spent of their privacy budgets."""

    epsilon: Real
    delta: Real
    clients: dict[Digits, Real]
    spent: list[Whole] = []


class RoundForm(LineForm):
    """A line of `metrics.jsonl`."""

    seconds: Real
    train_seconds: Real
    end_seconds: Real
    steps: Whole | None = None
    images: Whole
    client_actors: Whole = 0
    """That took part; 0: not told, by an older version."""
    discriminator_loss: Real | None
    generator_loss: Real | None
    statistics: dict[str, Real | None] = {}
    bytes_up: Whole
    bytes_down: Whole
    links: dict[str, dict[str, LinkForm]] = {}
    client_bytes: dict[Digits, dict[str, Whole]] = {}
    phase_seconds: dict[str, Real]
    body_seconds: dict[str, Real]
    evaluation_seconds: Real | None
    clusters: Whole = 0
    cluster_agreement: Real | None = None
    privacy: PrivacyForm | None = None
    scores: dict[str, DomainForm]
    samples: list[str]
    faults: list[str]


class MemberForm(Form):
    """A client in a line of `clusters.jsonl`."""

    cluster: Whole
    kld: Real | None
    weight: Real
    body_weight: Real


class ClustersForm(LineForm):
    """A line of `clusters.jsonl`."""

    clients: Annotated[dict[Digits, MemberForm], Field(min_length=1)]


Pair = Annotated[list[Whole], Field(min_length=2, max_length=2)]


class ClientCutForm(Form):
    """A client in `cuts.json`."""

    device: str
    generator: Pair
    discriminator: Pair


class CutsForm(Form):
    """`cuts.json`."""

    solver: str
    latency_s: Real
    lower_bound_s: Real | None
    gap: Real | None
    optimal: bool
    parts: dict[str, Real]
    clients: Annotated[list[ClientCutForm], Field(min_length=1)]


Rate = Annotated[Real, Field(gt=0)]


class CostsForm(Form):
    """`costs.json`."""

    iteration_s: Annotated[Real, Field(ge=0)]
    memory_bytes: Annotated[dict[str, Real], Field(min_length=1)]
    up_bytes_per_s: Rate
    down_bytes_per_s: Rate


class DomainInfoForm(BaseModel):
    """A domain in `domains.json`."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    num_train: Annotated[int, Field(ge=1, lt=2**53)]
    num_test: Annotated[int, Field(ge=0, lt=2**53)]
    image_size: tuple[Annotated[int, Field(ge=1, le=2**16)], Annotated[int, Field(ge=1, le=2**16)]]
    channels: Literal[1, 3]
    classes: Annotated[tuple[str, ...], Field(min_length=1, max_length=2**16)]
    class_counts: tuple[Whole, ...]
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> DomainInfoForm:
        if len(self.classes) != len(self.class_counts) or sum(self.class_counts) != self.num_train:
            raise ValueError("class_counts are not those of its classes and images")
        return self


DOMAINS_FORM = TypeAdapter(Annotated[list[DomainInfoForm], Field(min_length=1)])
"""`domains.json`."""


class SummaryForm(Form):
    """`summary.json`."""

    rounds: Whole
    clusters: Whole = 0
    cluster_agreement: Real | None = None
    scores: dict[str, DomainForm]
    seconds: Real
    start_seconds: Real = 0.0
    bytes_moved: Whole
    versions: dict[str, str]
    command: str | None = None
    """None: it was started from Python."""
    finished: str
    budgets_spent: bool = False
    """Whether the run ended before its last round, since its clients' privacy budgets are spent."""


RECORD_FORMS: dict[str, type[LineForm]] = {"metrics": RoundForm, "clusters": ClustersForm}
"""Forms of files of lines, by name; others of an algorithm's own are only checked to be lines of rounds."""
DOCUMENT_FORMS: dict[str, type[Form]] = {"cuts": CutsForm, "costs": CostsForm}
"""Forms of what an algorithm has planned, by name."""


def in_form(form: type[Form], content: dict[str, Any], where: str) -> dict[str, Any]:
    """The document itself, once it has been found to have this form.

    Raises:
        RunError: it has not; names the file and the first key that is wrong.
    """
    try:
        form.model_validate(content)
    except ValidationError as error:
        raise malformed(where, error, "restore the file, or resume the run") from None
    return content


def malformed(where: str, error: ValidationError, remedy: str) -> RunError:
    """What a user reads of a document without its form: the file and the first key that is wrong."""
    first = error.errors()[0]
    key = ".".join(map(str, first["loc"])) or "the document"
    return RunError(where, f"{key}: {first['msg']}", remedy)
