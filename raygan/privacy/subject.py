"""What is audited: the networks of a kept round, or untrained ones, and real images of the domains that lie here."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from raygan.algorithms import algorithm_of
from raygan.config.loading import from_home
from raygan.config.schema import Config
from raygan.cuts import valid_cuts
from raygan.data import (
    DomainInfo,
    client_slices,
    common_shape,
    domain_names,
    forget_domains,
    load_client,
    survey_domain,
    survey_domains,
    with_common_classes,
)
from raygan.data.arrays import evenly
from raygan.data.client import ImageSet, image_set
from raygan.errors import DataError, PolicyError, RunError
from raygan.evaluation.cache import load_or_train
from raygan.evaluation.classifier import DomainClassifier
from raygan.names import NETWORKS, BlockState, Cut, NetworkName
from raygan.nn.blocks import Networks
from raygan.nn.network import build_networks, load_block_state, network_spec
from raygan.nn.spec import NetworkSpec
from raygan.nn.start import initial_networks
from raygan.parties.evaluator import load_generator
from raygan.privacy.sight import Images
from raygan.run.going_on import check_data
from raygan.run.stored import Run
from raygan.secure import check_installed
from raygan.storage import block_states


@dataclass(frozen=True)
class Subject:
    """Networks and who has them."""

    config: Config
    infos: Sequence[DomainInfo]
    spec: NetworkSpec
    round: int
    """From 1; 0: untrained."""
    serves: Mapping[int, int]
    """Client -> its model."""
    networks: Callable[[int], Networks]
    """Those of a model; a network that its file has not is empty."""
    released: Callable[[int], list[nn.Module]] | None = None
    """A model's generator as people get it, which may be an average of the weights; None: nobody gets any."""
    hidden: Callable[[int], Mapping[int, BlockState]] | None = None
    """Client -> its blocks of D, which the server does not know (`privacy.hide_discriminator`); None: it knows all."""

    @property
    def initial(self) -> Networks:
        """As every party begins with them."""
        return initial_networks(self.spec, self.config)

    @property
    def is_cut(self) -> bool:
        """Whether its algorithm cuts networks, so that activations cross."""
        return "cuts" in algorithm_of(self.config.algorithm).reads

    def networks_of(self, party: Party) -> Networks:
        """Those that a client computes with."""
        made = self.networks(party.model)
        if self.hidden is not None and self.is_cut:
            _load(made.discriminator, self.hidden(party.client))
        return made

    @property
    def cuts(self) -> dict[NetworkName, Sequence[Cut]]:
        """The valid ones of each network."""
        made = build_networks(self.spec, self.config.model.blocks, self.config.seed)
        anchors = (made.generator_anchor, made.discriminator_anchor)
        return {
            name: valid_cuts(len(getattr(made, name)), anchor) for name, anchor in zip(NETWORKS, anchors, strict=True)
        }


def subject_of_run(run: Run, round_number: int | None) -> Subject:
    """A kept round.

    Args:
        round_number: from 1; None: the last that was kept.

    Raises:
        RunError: it is not kept, or has networks of another form.
        ConfigError: its clients hid D, and the extra `privacy` is not installed here.
    """
    number = run.kept_round(round_number)
    spec, config = run.spec, run.config

    def networks(model: int) -> Networks:
        made = build_networks(spec, config.model.blocks, config.seed)
        _load(made.generator, run.generator_states(number, model, "last"))
        _load(made.discriminator, run.discriminator_states(number, model))
        return made

    def released(model: int) -> list[nn.Module]:
        return load_generator(spec, config.model.blocks, run.generator_states(number, model))

    def hidden(client: int) -> Mapping[int, BlockState]:
        from raygan.secure.secret import kept_secret  # the extra `privacy`

        arrays = run.client_arrays(number, client)
        opened = kept_secret(Path(config.privacy.keys).expanduser(), arrays).open_arrays(arrays)
        own = {name: array for name, array in opened.items() if name.startswith("discriminator.")}
        return block_states(own, "discriminator")

    check_installed(config.privacy)
    of_clients = hidden if config.privacy.hide_discriminator else None
    return Subject(config, run.infos, spec, number, run.membership(number), networks, released, of_clients)


def untrained(config: Config) -> Subject:
    """The networks that a configuration begins with, the same for all.

    Raises:
        InputError: data or networks that cannot be used.
    """
    infos = [survey.info for survey in with_common_classes(survey_domains(config))]
    shape = common_shape(config.model, infos)
    spec = network_spec(config.model, shape.channels, shape.num_classes, config.privacy.dp is not None)
    made = initial_networks(spec, config)
    return Subject(
        config,
        infos,
        spec,
        0,
        dict.fromkeys((member.client for member in config.data.members), 0),
        lambda _: copy.deepcopy(made),
    )


def _load(blocks: list[nn.Module], states: Mapping[int, Mapping[str, np.ndarray]]) -> None:
    """Loads a network in place; empties it where there is none."""
    if not states:
        blocks.clear()
        return
    try:
        for index, state in states.items():
            load_block_state(blocks[index], state)
    except (RuntimeError, IndexError):  # torch's words for shapes or blocks that differ
        found = "the checkpoint's networks are not those of its config.yaml"
        raise RunError("the run", found, "put config.yaml back as the run wrote it") from None


@dataclass(frozen=True)
class Party:
    """One domain that lies here: one of its clients, which is attacked, and what others have of the domain."""

    index: int
    """Of the domain."""
    domain: str
    client: int
    model: int
    held: ImageSet
    """The client's."""
    test: ImageSet
    """The domain's, which no network was trained on."""
    classifier: DomainClassifier | None
    """Of the domain's real images; None: not needed."""

    def targets(self, most: int) -> Images:
        """Some of the client's images, evenly over its classes."""
        return _some(self.held, most)

    def known(self, most: int) -> Images:
        """Some of the test images, alike."""
        return _some(self.test, most)

    def matched(self, most: int) -> tuple[Images, Images]:
        """Members and others, equally many of each class: otherwise the class alone would tell them apart."""
        members, others = self.targets(most), self.known(most)
        rows: tuple[list[torch.Tensor], list[torch.Tensor]] = ([], [])
        for label in members.labels.unique():
            places = [(images.labels == label).nonzero()[:, 0] for images in (members, others)]
            count = min(map(len, places))
            for found, place in zip(rows, places, strict=True):
                found.append(place[:count])
        first, second = (torch.cat(found) for found in rows)
        return Images(*members.batch(first)), Images(*others.batch(second))


def parties(subject: Subject, with_classifier: bool) -> tuple[list[Party], list[str]]:
    """The domains that lie here, and a line for each that does not: its site audits it.

    Raises:
        DataError: a domain that belongs to no site cannot be read or has become another, or none lies here.
    """
    config, found, elsewhere = subject.config, [], []
    for index, (domain, name) in enumerate(zip(config.data.domains, domain_names(config.data), strict=True)):
        info = subject.infos[index]
        if index not in config.data.held:
            elsewhere.append(f"{name} is not audited: its clients have left")
            continue
        try:
            survey = survey_domain(config, index).numbered(info.classes)
            check_data([info], [survey.info])
            found.append(_party(subject, index, name, survey.numbers, with_classifier))
        except PolicyError:
            raise
        except DataError as error:
            if not domain.labels:
                raise
            elsewhere.append(f"{name} is not audited: it does not lie here ({error.found}); audit the run at its site")
    forget_domains()
    if not found:
        remedy = "audit the run where a domain's data lies"
        raise DataError("data.domains", "none of them can be read here", remedy)
    return found, elsewhere


def _party(subject: Subject, index: int, name: str, numbers: tuple[int, ...], with_classifier: bool) -> Party:
    config, classes = subject.config, subject.infos[index].classes
    shape, domain = common_shape(config.model, subject.infos), config.data.domains[index]
    slices = client_slices(config, subject.infos, [numbers] * len(subject.infos))
    members = zip(config.data.members, slices, strict=True)
    mine = {member.client: part for member, part in members if member.domain == index}
    client = next((client for client in mine if client in subject.serves), None)
    if client is None:
        raise DataError(f"data.domains[{index}] ({name})", "none of its clients took part", "choose another round")
    test = image_set(domain, config.data, shape, "test", classes)
    classifier = None
    if with_classifier:
        train = image_set(domain, config.data, shape, "train", classes)
        cache = config.evaluation.cache
        place = None if cache is None else str(from_home(cache))
        classifier = load_or_train(place, train.images, train.labels, len(train.classes))
    return Party(index, name, client, subject.serves[client], load_client(mine[client]), test, classifier)


def _some(held: ImageSet, most: int) -> Images:
    images, labels = held.batch(evenly(held.labels, most))
    return Images(torch.from_numpy(images), torch.from_numpy(labels))
