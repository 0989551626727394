"""The configuration: frozen, typed, every field documented, unknown keys refused.

The names are a contract (README, "Use it"). Conflicts between keys are refused at construction,
so that whatever holds a `Config` may rely on it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from raygan.config.choices import (
    AGGREGATIONS,
    ALGORITHMS,
    AUGMENTATIONS,
    CLUSTERINGS,
    LOSSES,
    NETWORKS,
    SCHEDULES,
    WEIGHTINGS,
    one_of,
)
from raygan.config.devices import DeviceProfile, catalogue
from raygan.config.members import Member, begun_with, numbered
from raygan.config.mistakes import first_mistake
from raygan.config.numbers import Count, Finite, NonNegative, Number, Positive
from raygan.config.privacy import PrivacyConfig
from raygan.config.wire import WireConfig
from raygan.errors import instead_of
from raygan.names import NetworkName, Objective, Weights
from raygan.scores import every_round, names

CLASSIFIERS = "~/.cache/raygan/classifiers"
"""Default of `evaluation.cache`, read whenever a configuration is made."""
SOURCES = ("name", "npz", "images", "wav", "medmnist", "loader")
OF_SOURCES = {
    "csv": ("images", "wav"), "pixel_range": ("images",), "background": ("images",), "sample_rate": ("wav",),
    "mel_range": ("wav",),
}  # fmt: skip
"""Keys of a domain that belong to some sources."""


class Section(BaseModel):
    """Base of all parts of the configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class LabelTable(Section):
    """A CSV file with a row for each file of a folder."""

    file: str
    """Its path."""
    file_column: str | None = None
    """The column that names the files, with or without their suffix; None: the one that does."""
    label_column: str | None = None
    """The column of the labels; None: the other one, if there are two."""
    part_column: str | None = None
    """The column that says `train`, `test` or `val`; None: a sixth of each class is for testing."""


def _table(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else value


def _name(value: Any) -> Any:
    """A class may be called 7; YAML reads a number."""
    return str(value) if type(value) is int else value


ClassName = Annotated[str, BeforeValidator(_name), Field(min_length=1)]


class DomainConfig(Section):
    """One kind of data and how many clients hold it; exactly one source."""

    name: str | None = None
    """The embedded sample `demo_mnist` or `demo_fashion_mnist`, or a torchvision set (`mnist`, `cifar10`, ...). Beside
    another source: what the domain is called, in place of its file's name."""
    npz: str | None = None
    """Path of an `.npz` file with `train_images`, `train_labels`, `test_images`, `test_labels` and perhaps `classes`
    and values of a natural partition (forms: `Arrays` in `raygan/data/arrays.py`); MedMNIST's and Keras's, too."""
    images: str | None = None
    """Folder with one folder of images a class, or `train/` and `test/` with such folders in each; or with a table of
    labels (`csv`); or with the four idx files of a set like MNIST."""
    wav: str | None = None
    """Folder of labelled `.wav` recordings, turned into log-mel pictures."""
    medmnist: str | None = None
    """Name of a 2D MedMNIST set, such as `bloodmnist` (needs the extra `medmnist`)."""
    loader: str | None = None
    """Import path `package.module:function` of a loader of your own."""
    clients: Count = 3
    """Clients that hold this domain; in a run that goes on, those that have left are counted too."""
    labels: dict[str, str] = {}
    """Ray labels of the nodes that hold this domain, such as `{site: a}`: it is described and read there, and nowhere
    else. Without a cluster they do not count: the data is read on this machine."""
    limit: Count | None = None
    """Use at most this many training images, drawn evenly over the file; None: all."""
    classes: Annotated[tuple[ClassName, ...], Field(min_length=1)] | None = None
    """Names of the classes in the order of their labels, of which some may have no images here; None: as the source has
    them. Classes of the same name are the same label in all domains."""
    csv: Annotated[LabelTable | None, BeforeValidator(_table)] = None
    """For `images` and `wav`: labels from a CSV file, in place of folders by class (a path, or its keys)."""
    pixel_range: tuple[Finite, Finite] | None = None
    """For `images`: the stored values that become black and white, such as `[0, 4095]` for 12 bits; None: 0 and 65535 of
    16 bits, 0 and 1 of floating-point numbers."""
    background: Annotated[int, Number, Field(ge=0, le=255)] = 255
    """For `images`: the grey value that transparent ones are laid over; 255: white."""
    sample_rate: Annotated[int, Number, Field(ge=1000, le=384_000)] = 8000
    """For `wav`: samples a second that recordings are brought to."""
    mel_range: tuple[NonNegative, Positive] = (60.0, 4000.0)
    """For `wav`: lowest and highest frequency of the pictures, Hz; at most half of `sample_rate`."""

    log_mel: bool | None = None
    """Whether its images are log-mel pictures, made as `raygan/data/loaders/recordings.py` makes them at 8 kHz, so that
    what is generated can be heard; None: those of `wav` are."""

    @model_validator(mode="after")
    def _one_source(self) -> DomainConfig:
        given = [source for source in SOURCES if getattr(self, source) is not None]
        kinds = [source for source in given if source != "name"] or given
        if len(kinds) != 1 or (len(given) > 1 and str(self.name).startswith("demo_")):
            found = f"sources {' and '.join(given)} together" if given else "no source"
            raise ValueError(f"{found}; give exactly one of {', '.join(SOURCES)}")
        if not getattr(self, kinds[0]).strip():
            raise ValueError(f"{kinds[0]} is empty; name what is to be read")
        for key, owners in OF_SOURCES.items():
            if kinds[0] not in owners and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key} beside {kinds[0]}; {key} belongs to {' and '.join(owners)}")
        if self.pixel_range is not None and not self.pixel_range[0] < self.pixel_range[1]:
            raise ValueError(f"pixel_range {list(self.pixel_range)}; give black first, then the higher white")
        if not self.mel_range[0] < self.mel_range[1] <= self.sample_rate / 2:
            found = f"mel_range {list(self.mel_range)} at a sample_rate of {self.sample_rate}"
            raise ValueError(f"{found}; give the lower first, and at most half of sample_rate")
        return self

    def __hash__(self) -> int:
        """Labels are a dict, which has none of its own; a domain is a key of caches."""
        return hash((self.source, self.clients, self.limit, tuple(sorted(self.labels.items()))))

    @property
    def is_sound(self) -> bool:
        """Whether its images are log-mel pictures."""
        return self.source[0] == "wav" if self.log_mel is None else self.log_mel

    @property
    def source(self) -> tuple[str, str]:
        """The kind of source and its value, such as `("npz", "faces.npz")`."""
        others = [kind for kind in SOURCES if kind != "name" and getattr(self, kind) is not None]
        kind = (*others, "name")[0]
        return kind, getattr(self, kind)


class DirichletPartition(Section):
    """Class shares of each client drawn from Dirichlet(alpha)."""

    dirichlet: Positive
    """alpha; the smaller, the more unequal."""


class NaturalPartition(Section):
    """Clients are the groups of an array in the data, such as the speaker."""

    natural: str
    """Name of the array: `speakers` reads `train_speakers`."""


Partition = Literal["iid", "non_iid", "highly_non_iid"] | DirichletPartition | NaturalPartition


class Joined(Section):
    """Clients that joined a run at one time."""

    domain: Annotated[int, Number, Field(ge=0)]
    """Index of their domain."""
    clients: Count
    """How many."""
    after_round: Annotated[int, Number, Field(ge=0)]
    """Rounds that were done then."""


class DataConfig(Section):
    """What the clients hold."""

    domains: tuple[DomainConfig, ...] = Field(
        default=(DomainConfig(name="demo_mnist"), DomainConfig(name="demo_fashion_mnist")), min_length=1
    )
    """The domains, in order; clients are numbered through them. A run that goes on may be given more of them, or more
    clients of one (`raygan/docs/recovery.md`, "Clients that join and leave")."""
    joined: tuple[Joined, ...] = ()
    """Clients that joined while the run went on, in order: their numbers follow. raygan writes it; leave it as it is."""
    left: tuple[Annotated[int, Number, Field(ge=0)], ...] = ()
    """Numbers of clients that have left: they take no part, and of a domain whose clients have all left nothing is read.
    Who is taken out of the list comes back."""
    partition: Partition = "iid"
    """How a domain's training images are dealt to its clients."""
    images_per_client: Annotated[int, Number, Field(ge=2)] | None = None
    """The most images of a client, of one with an equal share where the partition gives others less; the others are put
    away. None: all images are dealt."""
    root: str = "~/.cache/raygan/data"
    """Where torchvision and MedMNIST sets are kept."""
    download: bool = True
    """Whether sets that are not in `root` may be downloaded."""

    @property
    def everybody(self) -> tuple[Member, ...]:
        """All clients that there ever were, by number."""
        joined = tuple((entry.domain, entry.clients, entry.after_round) for entry in self.joined)
        return numbered(tuple(domain.clients for domain in self.domains), joined)

    @property
    def members(self) -> tuple[Member, ...]:
        """The clients that are there, by number."""
        gone = frozenset(self.left)
        return tuple(member for member in self.everybody if member.client not in gone)

    @property
    def held(self) -> tuple[int, ...]:
        """Indices of the domains that a client holds, ascending: all, but for those whose clients have all left."""
        return tuple(sorted({member.domain for member in self.members}))


class ModelConfig(Section):
    """The two networks."""

    width: Annotated[Positive, Field(le=64)] = 0.25
    """Scales the paper's channel counts."""
    image_size: Annotated[int, Number, Field(ge=8, le=4096, multiple_of=4)] = 28
    """Height and width that every domain is brought to, pixels."""
    channels: Literal[1, 3] | None = None
    """Image channels; None: 3 if any domain is in colour, else 1."""
    latent_size: Annotated[Count, Field(le=2**16)] = 100
    """Entries of z."""
    label_embedding_size: Annotated[Count, Field(le=2**16)] = 10
    """Entries of the generator's learned label embedding."""
    networks: Annotated[str, one_of(NETWORKS, or_path=True)] = "projection"
    """Which networks. `paper`: the paper's, D's label an image plane in its first block; `projection`: the same with D's
    label in its last block, which never leaves the client; `plane_projection`: in both; `residual`: for larger images, a
    block a doubling of the side from 4x4, D's label in its last block. Or the import path `package.module:function` of
    networks of your own."""
    spectral_norm: bool = False
    """Spectral normalisation of D's layers (arXiv 1802.05957), in place of its BatchNorm."""
    blocks: str | None = None
    """The older key for an import path of networks of your own, in place of `networks`; None: those of `networks`."""
    start_from: str | None = None
    """Folder of a run, or a model's file in one (`RUN/checkpoints/round-0008/cluster-1.safetensors`), whose networks this
    run begins with, at every client; of a folder its last kept round, which must have one model. None: the seed's."""

    @model_validator(mode="after")
    def _one_choice(self) -> ModelConfig:
        if self.blocks is not None and self.networks not in ("paper", type(self)().networks):
            raise ValueError(f"blocks {self.blocks!r} and networks {self.networks!r} together; give networks alone")
        return self

    @property
    def own_networks(self) -> tuple[str, str | None]:
        """The key of networks of the user's own, and their import path; None: there are none."""
        if self.blocks is not None:
            return "model.blocks", self.blocks
        return "model.networks", self.networks if ":" in self.networks else None


class LearningRates(Section):
    """A learning rate for each network (TTUR: Heusel et al. 2017, arXiv 1706.08500)."""

    generator: Positive = 3e-3
    """Of G."""
    discriminator: Positive = 3e-3
    """Of D."""


class AverageConfig(Section):
    """A moving average of the generator's weights, for samples and scores."""

    half_life_images: Positive = 1000
    """Images of one client after which an update counts half as much: about a tenth of those of a run."""


class TrainingConfig(Section):
    """The loop."""

    rounds: Count = 8
    """Rounds; a round is `local_epochs` of steps, then clustering, weighting and aggregation."""
    local_epochs: Count = 1
    """Passes over a client's images in a round (E)."""
    steps: Literal["everybody", "own_epochs"] = "everybody"
    """Who takes part in a step of a round, which has as many as the client with most images needs for its local epochs:
    `everybody`: all, the others with further passes over their images (as published); `own_epochs`: those whose own
    local epochs are not over."""
    batch_size: Annotated[int, Number, Field(ge=2, le=2**20)] = 32
    """Images of one client in one step."""
    loss: Annotated[str, one_of(LOSSES)] = "bce"
    """The losses of both networks. `bce`: the paper's, binary cross-entropy on logits; `hinge`: the hinge loss;
    `relativistic`: how much more real than the mean fake (relativistic average, arXiv 1807.00734)."""
    r1: NonNegative = 0.0
    """Weight gamma of a penalty on D's gradient at real images, gamma / 2 E |dD(x) / dx|^2 (arXiv 1801.04406); 0: none.
    It takes a gradient of a gradient, so it is only for algorithms whose discriminators are whole."""
    augment: tuple[Annotated[str, one_of(AUGMENTATIONS)], ...] = ()
    """Augmentations of all that D sees, in this order, through which gradients go (DiffAugment, arXiv 2006.10738):
    `translation`, by up to an eighth of the side; `cutout`, of a square of half the side; `colour`, brightness,
    saturation and contrast."""
    fake_labels: Literal["own", "even"] = "own"
    """Labels of a client's fakes. `own`: those of its minibatch, so its own distribution (the paper's); `even`: drawn
    evenly over the classes that it holds. Where G is on a server, they are always even over all classes."""
    lr: Positive | LearningRates = 3e-3
    """Adam's learning rate, or one for each network. The default is for some 400 steps; many more want less (the paper:
    2e-4)."""
    lr_schedule: Annotated[str, one_of(SCHEDULES)] = "constant"
    """How the learning rates change from round to round: `constant`, or down towards 0 by `linear` or `cosine`."""
    betas: tuple[
        Annotated[float, Number, Field(ge=0, lt=1)],
        Annotated[float, Number, Field(ge=0, lt=1)],
    ] = (0.5, 0.999)
    """Adam's decay rates."""
    average: AverageConfig | None = AverageConfig()
    """Keep a moving average of the generator's weights, which samples and scores take (`evaluation.weights`); None: keep
    none. `{}`: as its keys are by default."""
    participation: Annotated[float, Number, Field(gt=0, le=1)] = 1.0
    """Share of the clients that take part in a round, drawn anew for each; the others take over an average."""
    min_clients: Count = 1
    """A round that fewer clients than this bring to its end stops the run; its last checkpoint is whole."""

    def lr_of(self, network: NetworkName) -> float:
        """A network's learning rate."""
        return self.lr if isinstance(self.lr, float) else float(getattr(self.lr, network))


class ClusterConfig(Section):
    """Clustering and weighting at the end of a round."""

    count: Literal["auto", "oracle"] | Count = "auto"
    """Clusters, no more than clients take part in a round; `auto`: the count with the best silhouette; `oracle`: the true
    domains in place of clusters that are found, which only a measurement may know."""
    clustering: Annotated[str, one_of(CLUSTERINGS, or_path=True)] = "kmeans"
    """The rule that finds the clusters; or an import path `package.module:function` of one of your own
    (`raygan/docs/examples.md`, "Your own clustering rule")."""
    weighting: Annotated[str, one_of(WEIGHTINGS)] = "kld"
    """The rule that says how much a member counts; `kld`: by its divergence from the others (the paper's)."""
    aggregation: Annotated[str, one_of(AGGREGATIONS)] = "holes"
    """The rule that averages a cluster; `holes`: blocks that a member does not hold count as the body's (the paper's)."""
    beta: Annotated[float, Number, Field(ge=0, allow_inf_nan=False)] = 1.0
    """Sharpness of the KLD weights; 0 weighs by sample count alone."""
    warmup_rounds: Annotated[int, Number, Field(ge=0)] = 2
    """First rounds with one cluster and weights proportional to sample counts."""
    feature_batches: Count = 4
    """Last real minibatches of a round over which the anchor features are averaged."""


class ServerConfig(Section):
    """The machine of the shared body in the latency model."""

    flops_per_s: Positive = 672e9
    """Sustained floating-point operations a second (c_s)."""
    bytes_per_s: Positive = 1e9
    """Down-link, bytes a second (r_s)."""
    exchange_s: NonNegative = 5e-4
    """What an exchange of numbers between replicas of the body (`ray.body_replicas`) takes beside its bytes, seconds."""


class DevicesConfig(Section):
    """The hardware of the clients."""

    fleet: tuple[str, ...] = Field(default=("raspberry_pi_4", "jetson_nano", "workstation"), min_length=1)
    """Profile names, dealt to the clients in turn."""
    profiles: dict[str, DeviceProfile] = {}
    """Profiles of your own, by name; they add to the catalogue or override it."""
    server: ServerConfig = ServerConfig()
    """The server's speed and link."""
    emulate: bool = False
    """Make clients and body take as long as their profiles say."""
    fits: Literal["require", "drop"] = "require"
    """What becomes of clients whose device has less memory (its profile's `memory_bytes`) than the algorithm needs there:
    `require`: the run is refused; `drop`: they sit out. Cuts are planned to fit; a device that none fits is refused."""

    @model_validator(mode="after")
    def _known(self) -> DevicesConfig:
        known = {**catalogue(), **self.profiles}
        unknown = [name for name in self.fleet if name not in known]
        if unknown:
            raise ValueError(f"unknown profile {unknown[0]!r} in fleet; use one of {', '.join(sorted(known))}")
        return self

    def profile(self, name: str) -> DeviceProfile:
        """The profile of that name: the user's own if there is one, else the catalogue's."""
        return self.profiles.get(name) or catalogue()[name]


NonNegativeCut = tuple[Annotated[int, Number, Field(ge=0)], Annotated[int, Number, Field(ge=0)]]


class ProfileCut(Section):
    """The cuts (h, t) of one profile: extra blocks kept at the front and at the back."""

    generator: NonNegativeCut = (0, 0)
    """(h, t) of the generator."""
    discriminator: NonNegativeCut = (0, 0)
    """(h, t) of the discriminator."""


class GeneticConfig(Section):
    """The genetic algorithm's settings (`raygan/cuts/genetic.py`): the published code's, which has no `stall`."""

    population: Annotated[int, Number, Field(ge=2)] = 1000
    """Individuals in a generation."""
    generations: Count = 1000
    """At most this many generations."""
    tournament: Count = 5
    """Individuals in a selection tournament."""
    crossover: Annotated[float, Number, Field(ge=0, le=1)] = 0.7
    """Probability of crossover of a pair."""
    mutation: Annotated[float, Number, Field(ge=0, le=1)] = 0.01
    """Probability of mutation of a gene."""
    stall: Count = 50
    """Stop after this many generations without improvement."""


class MaxLeakage(Section):
    """How much a device's cuts may tell, by the best attack that an audit measured (`raygan/docs/privacy.md`)."""

    ssim: Annotated[float, Number, Field(ge=0, le=1)] = 1.0
    """The most structural similarity of reconstructed images to a client's own, from 0 to 1."""
    label_accuracy: Annotated[float, Number, Field(ge=0, le=1)] = 1.0
    """The largest share of a client's labels that may be read, from 0 to 1."""


class CutsConfig(Section):
    """Where each device's networks are cut, and what is left between the cuts."""

    solver: Literal["exact", "ga", "fixed"] = "exact"
    """`exact` (proven optimum; ours, not the paper's), `ga` (a genetic algorithm, which is the paper's way),
    or `fixed` (as given below)."""
    fixed: dict[str, ProfileCut] = {}
    """Cuts by profile name, for `solver: fixed`; a profile that is missing keeps nothing extra."""
    time_limit_s: Positive = 60.0
    """Longest time for a solver, seconds; then its best with its gap."""
    ga: GeneticConfig = GeneticConfig()
    """For `solver: ga`."""
    objective: Objective = "latency"
    """What is minimised. `latency`: the seconds of an iteration; `bytes`: what all clients send and receive in it and,
    of the plans that move the fewest, the seconds; `weighted`: seconds and `seconds_per_mb` for each million bytes."""
    seconds_per_mb: NonNegative = 0.01
    """For `objective: weighted`: seconds that a million bytes count, of all clients together, up and down."""
    max_leakage: MaxLeakage | None = None
    """Cuts that tell more are not allowed, by the audit that `leakage` names; None: all are."""
    leakage: str | None = None
    """The audit by which `max_leakage` goes: the folder of a run after `raygan audit RUN`, or a file that `raygan cuts
    --leakage` has written; None: none."""
    bodies: Literal["shared", "clusters"] = "clusters"
    """`shared`: the blocks left to the server are one body for all clients (the paper's); `clusters`: after the warm-up
    every cluster has one of its own, which begins as that of most of its clients, and merges their batches alone."""


class MedianDeadline(Section):
    """A deadline that follows the clients' speed."""

    median: Annotated[float, Number, Field(gt=1, allow_inf_nan=False)]
    """Multiple of the median."""


class RayConfig(Section):
    """The actor system."""

    address: str | None = None
    """Ray cluster to join (`auto`, `host:port`); None: `RAY_ADDRESS` if set, else a local Ray is started. A Ray that this
    process has joined already (`ray.init`, a job, a task) is used. Any will do: see `placement`."""
    placement: Literal["auto", "devices", "cpus"] = "auto"
    """What actors are placed by. `devices`: the custom resources of their profiles (`jetson_nano`, ...) and the body's
    (`body`), which nodes must declare (`ray start --resources`, `cluster.yaml`); a local Ray of raygan's own has them.
    `cpus`: CPUs and memory, as every Ray has them. `auto`: by devices where a node or the autoscaler declares any of
    them, or nodes are waited for (`wait_for_nodes_s`), else by CPUs."""
    cpus_per_actor: Literal["auto"] | NonNegative = "auto"
    """CPUs that the body's actor reserves where placement is by CPUs, and each client actor whose profile names no
    `num_cpus`; `auto`: 1, less where there are fewer CPUs than actors."""
    memory_per_actor: Literal["auto"] | Annotated[int, Number, Field(ge=0)] = "auto"
    """Bytes that they reserve there; `auto`: 512 MiB, none where there is less."""
    wait_for_nodes_s: NonNegative | None = None
    """Seconds to wait for nodes that are not there yet; None: 10 minutes for those that the autoscaler may start, no time
    for others."""
    clients_per_actor: Literal["auto"] | Count = "auto"
    """Clients (of one profile and cuts) in one actor; `auto`: 1 on a cluster, on one machine as its cores allow."""
    vmap_clients: Literal["auto", "measure", "always", "never"] = "auto"
    """Whether the clients of an actor compute a block at once (`torch.vmap`). `measure`: where that is faster, by a
    measurement that is kept on the machine; `auto`: as `measure` on GPUs, one by one on CPUs; `always`: wherever a block
    allows it. The last bits of a run's numbers depend on it."""
    step_deadline_s: Positive | MedianDeadline | None = None
    """After so many seconds a step goes on without the clients that are late; they sit out the rest of the round.
    `{median: 3}`: three times what a step takes where every client is as fast as the median one.
    None: everybody is waited for, as long as `call_timeout_s` allows."""
    call_timeout_s: Positive = 300.0
    """An actor that works longer on one call is taken for hung: it is ended and treated as lost. Calls may take ten
    times their median, where that is longer."""
    start_timeout_s: Positive = 600.0
    """Seconds for an actor to find a place and to be built."""
    max_restarts: Count = 3
    """A client actor that is lost more often in a row than this is set aside."""
    steps_ahead: Count = 3
    """Steps that are under way at a time: the driver submits ahead so that no actor waits for it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where body and clients compute. `auto`: on the GPU if their actor was given one (in process: if there is
    one), else on the CPU; `cuda`: on a GPU or not at all."""
    body_gpus: Annotated[float, Number, Field(ge=0, allow_inf_nan=False)] | None = None
    """GPUs, or a share of one, for the body's actor (a client's: `num_gpus` of its profile). None: none on a
    cluster; on one machine body and clients share its GPUs evenly where no profile names any."""
    transport: Literal["object_store", "direct"] = "object_store"
    """How activations and gradients go from actor to actor: through Ray's object store, or by Ray Direct Transport
    (alpha) over NIXL, from GPU memory to GPU memory where the actors have GPUs (needs the extra `direct`)."""
    client_threads: Literal["auto"] | Count = "auto"
    """Torch threads in a client's actor; `auto`: the machine's cores over the client actors, at least 1. The
    last bits of a run's numbers depend on it."""
    body_threads: Literal["auto"] | Count = "auto"
    """Torch threads in the body's actor; `auto`: the machine's cores, or where replicas share a machine their share of
    them. As above."""
    body_replicas: Count = 1
    """Actors that are one body together, each for its share of the client actors: their BatchNorm sees everybody, their
    weights are equal. No more than client actors. The last bits of a run's numbers depend on it."""
    body_pipeline: Count = 1
    """Actors that hold the body's blocks one after the other: each computes with its own, and passes on what comes out.
    The numbers are those of one actor, to the last bit. No more than the body has blocks, and not beside
    `body_replicas`."""


class EvaluationConfig(Section):
    """Scores and pictures."""

    every: Count = 1
    """Score after every n-th round (and after the last)."""
    images: Annotated[int, Number, Field(ge=2)] = 5000
    """Generated images a domain for the scores."""
    weights: Weights = "average"
    """Which weights of the generators scores, pictures and samples take: their moving `average`, where the run keeps one
    (`training.average`), or the `last`."""
    timeout_s: Positive = 3600.0
    """An evaluator that works longer on a round's scores (or on its classifiers) is taken for hung."""
    usefulness_images: Annotated[int, Number, Field(ge=2)] | None = None
    """Generated images a domain on which a CNN is trained after the last round, to be tested on real images
    (the paper: 30000); None: no usefulness."""
    inception_fid: bool = False
    """After the last round, also the usual FID and KID, where torch-fidelity and its Inception weights are at hand."""
    cache: str | None = Field(default_factory=lambda: CLASSIFIERS)
    """Folder where the domains' classifiers are kept once they are trained, by default `~/.cache/raygan/classifiers`;
    None: keep none. No number depends on it."""


def _compares_rounds(name: str | None) -> str | None:
    known = names(score for score in every_round() if score.is_number)
    if name is not None and name not in known:
        raise ValueError(f"{name!r} is no score of every round; {instead_of(name, known)}")
    return name


class CheckpointConfig(Section):
    """What is kept of a run while it goes on."""

    every: Count = 1
    """Write a checkpoint after every n-th round (and after the last)."""
    keep: Count | None = 3
    """The last so many stay whole, so that a run can go on from them; None: all do."""
    best: Annotated[str | None, AfterValidator(_compares_rounds)] = "label_agreement"
    """The round that is best by this score (the mean over the domains) stays whole as well; None: none does."""
    networks: bool = True
    """Whether the others keep their clusters' networks, to sample from and to score again."""
    storage: str | None = None
    """URI of a folder (`s3://bucket/run`, `gs://...`, `file:///...`) that is kept up to date with the run's own, so
    that another machine can go on with it; None: none. `--out URI` sets it."""

    @model_validator(mode="after")
    def _storage_is_a_uri(self) -> CheckpointConfig:
        if self.storage is not None and "://" not in self.storage:
            raise ValueError(f"checkpoints.storage: {self.storage!r} is no URI; give one such as s3://bucket/run")
        return self


class HierarchicalConfig(Section):
    """For `algorithm: hierarchical`."""

    global_every: Count = 5
    """Rounds from one average over all clients to the next; the others' are inside the clusters."""


class CentralConfig(Section):
    """For `algorithm: central`."""

    by: Literal["all", "domain"] = "domain"
    """Whose images are in one place: each domain's, with networks of their own, or all of them, with one pair."""


class FedGanConfig(Section):
    """For `algorithm: fed_gan`."""

    sync_every: Count | None = None
    """Steps between two averages; None: the networks are averaged at the round's end. The round's end averages anyway."""


class MdGanConfig(Section):
    """For `algorithm: md_gan`."""

    num_batches: Literal["auto"] | Count = "auto"
    """Batches of fakes that the server makes in a step, at most one a client; `auto`: max(2, floor(ln clients))."""
    swap_every: Count | None = 1
    """Epochs after which every discriminator moves to another client, of at least two; None: it never does."""


class PflGanConfig(Section):
    """For `algorithm: pfl_gan`."""

    local_rounds: Literal["auto"] | Count = "auto"
    """Rounds in which every client trains by itself, before generators are shared once; fewer than `training.rounds`.
    `auto`: half of them."""
    synthetic_images: Annotated[int, Number, Field(ge=2)] = 1000
    """Images that each client's generator makes, and that each client is sent of the others'."""
    synthetic_share: Annotated[float, Number, Field(gt=0, lt=1)] = 0.5
    """Of a minibatch in the rounds after that."""
    temperature: Positive = 1.0
    """Of the weights by which others' images are mixed: the lower, the more counts whose are alike."""


ALGORITHM_KEYS = ("central", "fed_gan", "hierarchical", "md_gan", "pfl_gan")
"""Sections that belong to the algorithm of their name."""


class Config(Section):
    """A whole run.

    Raises:
        ConfigError: in place of pydantic's error, the first mistake as one line.
    """

    seed: Annotated[int, Number, Field(ge=0, lt=2**32)] = 0
    """Everything random follows from it."""
    algorithm: Annotated[str, one_of(ALGORITHMS)] = "huscf"
    """How generators are trained: `huscf` (the method), `local` (every client by itself), `central` (all images in one
    place), `fed_gan` (whole networks, averaged), `clustered_fed_gan` (inside the method's clusters), or `hierarchical`
    (inside the clusters, now and then over all of them; HFL-GAN-style). With one generator on a server and a
    discriminator on each client: `md_gan` (they wander), `fed_split_gan` (they are averaged),
    `ua_gan` (they are mixed). `pfl_gan`: first alone, then with images of others' generators (PFL-GAN-style)."""
    scenario: Annotated[int, Number, Field(ge=1, le=6)] | None = None
    """A preset of the paper: `data.{domains, partition, images_per_client}`, `training.{rounds, local_epochs, batch_size,
    steps, lr, average}`, `model.{width, networks}`, `cuts.bodies` and `evaluation.usefulness_images` where they are not
    given; None: no preset."""
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    clusters: ClusterConfig = ClusterConfig()
    devices: DevicesConfig = DevicesConfig()
    cuts: CutsConfig = CutsConfig()
    wire: WireConfig = WireConfig()
    ray: RayConfig = RayConfig()
    evaluation: EvaluationConfig = Field(default_factory=EvaluationConfig)
    checkpoints: CheckpointConfig = CheckpointConfig()
    privacy: PrivacyConfig = PrivacyConfig()
    central: CentralConfig | None = None
    """Of that algorithm; None: as its keys are by default."""
    fed_gan: FedGanConfig | None = None
    """Of that algorithm; None: as its keys are by default."""
    hierarchical: HierarchicalConfig | None = None
    """Of that algorithm; None: as its keys are by default."""
    md_gan: MdGanConfig | None = None
    """Of that algorithm; None: as its keys are by default."""
    pfl_gan: PflGanConfig | None = None
    """Of that algorithm; None: as its keys are by default."""

    def __init__(self, **settings: Any) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise first_mistake(error, type(self)) from None

    @model_validator(mode="after")
    def _keys_of_the_algorithm(self) -> Config:
        for name in ALGORITHM_KEYS:
            if name != self.algorithm and getattr(self, name) is not None:
                raise ValueError(f"{name}: keys of another algorithm than {self.algorithm}; set algorithm: {name}")
        return self

    @model_validator(mode="after")
    def _labels_are_hidden(self) -> Config:
        """G's head is open, and its input has the fakes' labels."""
        if self.privacy.hide_discriminator and self.training.fake_labels == "own":
            raise ValueError(
                "training.fake_labels: 'own' beside privacy.hide_discriminator tells its own; set it to even"
            )
        return self

    @model_validator(mode="after")
    def _numbers_fit(self) -> Config:
        clients = [domain.clients for domain in self.data.domains]
        joined = [(entry.domain, entry.clients, entry.after_round) for entry in self.data.joined]
        if any(domain >= len(clients) for domain, _, _ in joined) or min(begun_with(clients, joined)) < 0:
            raise ValueError("data.joined: more clients than data.domains has; leave it as the run wrote it")
        everybody = range(len(self.data.everybody))
        if unknown := [client for client in self.data.left if client not in everybody]:
            raise ValueError(f"data.left: there is no client {unknown[0]}; give numbers from 0 to {everybody[-1]}")
        if not self.data.members:
            raise ValueError("data.left: every client has left; leave one at least")
        return self

    @model_validator(mode="after")
    def _clusters_fit(self) -> Config:
        count = self.clusters.count
        for most, whose, more in (
            (self.num_clients, "clients", "add clients"),
            (self.clients_a_round, "clients in a round", "raise training.participation"),
        ):
            if isinstance(count, int) and count > most:
                found = f"{count} clusters for {most} {whose}"
                raise ValueError(f"clusters.count: {found}; lower clusters.count or {more}")
        return self

    @model_validator(mode="after")
    def _enough_take_part(self) -> Config:
        if self.training.min_clients > self.clients_a_round:
            raise ValueError(
                f"training.min_clients: {self.training.min_clients} of {self.clients_a_round} clients in a round; "
                f"lower training.min_clients or raise training.participation"
            )
        return self

    @property
    def known_clusters(self) -> int:
        """As many clusters as are known before the first round."""
        count = self.clusters.count
        return {"auto": 1, "oracle": len(self.data.domains)}[count] if isinstance(count, str) else count

    @property
    def clients_a_round(self) -> int:
        """Clients that take part in a round."""
        return max(1, round(self.training.participation * self.num_clients))

    @property
    def profiles(self) -> list[str]:
        """The profile of each client: the fleet's, dealt to the clients' numbers in turn."""
        fleet = self.devices.fleet
        return [fleet[member.client % len(fleet)] for member in self.data.members]

    @property
    def num_clients(self) -> int:
        """Clients of all domains together, without those that have left."""
        return len(self.data.members)
