"""What an exported generator says of itself: one JSON document, the same in every format."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

import raygan
from raygan.config.schema import Config
from raygan.data.loaders.recordings import Hearing
from raygan.errors import InputError
from raygan.names import Weights
from raygan.nn.spec import NetworkSpec
from raygan.run.stored import Run

KEY = "generator.json"
"""Where a file keeps its card: an extra file of the `torch` format, a key of the others' metadata."""

SUFFIXES = {"torch": ".pt2", "onnx": ".onnx", "safetensors": ".safetensors"}
"""Format -> how its files' names end."""

Count = Annotated[int, Field(ge=1, lt=2**20)]


class Card(BaseModel):
    """Metadata of an exported generator."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    """Of this document's form."""
    raygan: str
    """Version of raygan that wrote it."""
    run: str
    """Name of the run's folder."""
    model: str
    """Whose generator it is, such as `cluster 0`."""
    round: Count
    """After which it is as it is here, from 1."""
    weights: Weights = "last"
    """Whether these are the moving `average` of its weights or the `last`."""
    algorithm: str
    """Name of the run's algorithm."""
    config_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Digest of the run's configuration, as `config_digest` takes it."""
    domains: tuple[str, ...]
    """Names of its clients' domains."""
    classes: tuple[str, ...]
    """Names of labels 0, 1, ...; the numbers, where its clients' domains have different ones."""
    num_classes: Count
    """M: labels that may be asked for run from 0 to M - 1; those without a name were in other clusters' domains."""
    image_shape: tuple[Count, Count, Count]
    """C, H, W."""
    value_range: tuple[float, float] = (-1.0, 1.0)
    """Of the images: black to white."""
    latent_size: Count
    """Z: z is float32 (B, Z), standard normal."""
    inputs: tuple[str, str] = ("z", "labels")
    """Names and order of the arguments: z float32 (B, Z) and labels int64 (B,)."""
    output: str = "images"
    """Images, float32 (B, C, H, W)."""
    hearing: Hearing | None = None
    """Of log-mel pictures: sample rate and range of frequencies, with which they are heard (`raygan/data/sound.py`);
    None: they are images."""
    width: float
    """`model.width`: with `label_embedding_size`, `networks` and `blocks` it tells how to build the networks anew."""
    label_embedding_size: Count
    """`model.label_embedding_size`."""
    blocks: str | None
    """`model.blocks`: an import path of networks, in place of `networks`; None: there is none."""
    networks: str = "paper"
    """`model.networks`: a name, or an import path."""

    @property
    def own_networks(self) -> str | None:
        """The import path of networks that are code of somebody's own; None: they are raygan's."""
        return self.blocks or (self.networks if ":" in self.networks else None)

    @property
    def spec(self) -> NetworkSpec:
        """What its networks were built from."""
        return NetworkSpec(
            image_size=self.image_shape[1],
            channels=self.image_shape[0],
            num_classes=self.num_classes,
            width=self.width,
            latent_size=self.latent_size,
            label_embedding_size=self.label_embedding_size,
            networks=self.networks,
        )


def card_of(run: Run, model: int, round_number: int, weights: Weights | None = None) -> Card:
    """The card of a model's generator in a kept round, with the weights that `Run.generator_states` gives for these."""
    asked = weights or run.config.evaluation.weights
    spec = asdict(run.spec)
    channels, side = spec.pop("channels"), spec.pop("image_size")
    del spec["spectral_norm"], spec["group_norm"]  # which the discriminator alone has
    held = run.domains_of(model, round_number)
    return Card(
        raygan=raygan.__version__,
        run=run.path.name,
        model=f"{run.model_kind} {model}",
        round=round_number,
        weights="last" if run.config.training.average is None else asked,
        algorithm=run.config.algorithm,
        config_sha256=config_digest(run.config),
        domains=tuple(run.domain_names[index] for index in held),
        classes=tuple(run.class_names(model, round_number)),
        image_shape=(channels, side, side),
        hearing=run.hearing(model, round_number),
        blocks=run.config.model.blocks,
        **spec,
    )


def parsed_card(content: str | bytes | None, where: str) -> Card:
    """A card that was read from a file.

    Raises:
        InputError: there is none, or it is not in this form.
    """
    if content is None:
        raise InputError(where, "holds no raygan generator", "give a run's folder or a file of raygan export")
    try:
        return Card.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or KEY
        raise InputError(where, f"its {key} cannot be used ({first['msg']})", "export it again") from None


def config_digest(config: Config) -> str:
    """SHA-256, hexadecimal, of the configuration as JSON with sorted keys and no spaces: equal configurations have equal
    digests."""
    document: dict[str, Any] = config.model_dump(mode="json")
    return hashlib.sha256(json.dumps(document, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
