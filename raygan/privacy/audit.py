"""An audit: every attack on every cut, with its controls and lines of chance, on data that lies here.

The attacker is the server. It sees what crosses at a cut, in train mode and through the run's codec; from aggregation it
knows the heads, unless it is said that it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn

from raygan.names import End, NetworkName
from raygan.nn.blocks import Networks, takes_labels
from raygan.nn.correlation import distance_correlation
from raygan.nn.losses import gan_loss
from raygan.nn.network import build_networks, run_blocks
from raygan.parties.evaluator import sample_images
from raygan.privacy.decoder import Decoder, reconstruct, train_decoder
from raygan.privacy.document import IDENTITY, NOISE, Attack, Audit, Row, leakage_of
from raygan.privacy.inversion import likeness, lines_of_chance
from raygan.privacy.labels import grouped_accuracy, label_accuracy, labels_told, majority
from raygan.privacy.membership import membership_figures, nearness
from raygan.privacy.pictures import comparison
from raygan.privacy.shadow import Shadow, train_shadow
from raygan.privacy.sight import (
    Disturbance,
    Images,
    Sight,
    head_of,
    identity,
    noise,
    noise_of_clients,
    seen,
    seen_apart,
    tail_gradient_of,
)
from raygan.privacy.subject import Party, Subject, parties
from raygan.privacy.white_box import optimised
from raygan.randomness import torch_seed

HEAD = "head, test images"
OTHER = "head, images of {}"
SEED = "first head, test images"
SHADOW = "no head, test images"
WHITE_BOX = "head, optimised images"
NETWORKS = "D, test images"
GROUPS = "no D, groups"
GENERATOR = "head"
HIDDEN = (
    "D is hidden from the server (privacy.hide_discriminator): attackers that know its head, its first head, its tail or "
    "its score are none, and were left out"
)
SAMPLES = "samples of G"
SCORE = "score of D"


@dataclass(frozen=True)
class Effort:
    """How much an attack is given."""

    targets: int = 256
    """A client's images that are attacked."""
    known: int = 1000
    """Images that the attacker has."""
    decoder_steps: int = 300
    """Steps of a decoder."""
    optimised_steps: int = 60
    """Steps of L-BFGS, for each of a client's minibatches, in white box."""
    probe_steps: int = 300
    """Steps of a probe for labels."""
    correlated: int = 256
    """Images whose distances are correlated."""
    members: int = 512
    """Members of the training set, and as many others."""
    samples: int = 2000
    """Of the generator."""


@dataclass
class Meter:
    """How far an audit is."""

    show: Callable[[int, int, str], None] = lambda done, total, words: None
    """Told steps that are done, steps of all, and what is going on."""
    total: int = 0
    done: int = 0
    words: str = ""

    def begin(self, words: str) -> None:
        """The next attack."""
        self.words = words
        self.show(self.done, self.total, words)

    def tick(self) -> None:
        """One step more."""
        self.done += 1
        self.show(self.done, self.total, self.words)


class Place(NamedTuple):
    """What is attacked."""

    domain: str
    network: NetworkName | None = None
    """None: the whole model, or a control."""
    end: End | None = None
    depth: int | None = None


@dataclass
class Found:
    """What has been found so far."""

    rows: list[Row] = field(default_factory=list)
    controls: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def note(
        self, attack: Attack, place: Place, attacker: str, figures: Mapping[str, float], chance: Mapping[str, float]
    ) -> None:
        """One row more."""
        row = Row(attack=attack, attacker=attacker, figures=dict(figures), chance=dict(chance), **place._asdict())
        (self.controls if attacker in (IDENTITY, NOISE) else self.rows).append(row)


def audit(
    subject: Subject, attacks: Sequence[Attack], effort: Effort | None = None, meter: Meter | None = None
) -> tuple[Audit, dict[str, bytes]]:
    """All that is asked for, and the pictures by name. The same subject and effort give the same figures.

    Raises:
        InputError: data that is gone or has become another.
    """
    effort, meter = effort or Effort(), meter or Meter()
    meter.begin("reading images")
    here, elsewhere = parties(subject, "inversion" in attacks and subject.is_cut)
    found = Found(notes=elsewhere)
    at_cuts = [attack for attack in attacks if attack != "membership"] if subject.is_cut else []
    if not subject.is_cut and set(attacks) != {"membership"}:
        name = subject.config.algorithm
        found.notes.append(f"{name} cuts no networks, so no activation crosses: of the attacks only membership applies")
    if at_cuts and subject.config.training.augment:
        found.notes.append("images cross augmented in training; here they are attacked as they are")
    if "labels" in at_cuts and subject.config.privacy.activation_noise:
        found.notes.append("gradients of D's tail are those of activations without noise")
    if subject.hidden is not None:
        found.notes.append(HIDDEN)
    work = _Work(subject, effort, meter, found)
    meter.total = work.num_steps(here, at_cuts)
    for number, party in enumerate(here):
        other = here[(number + 1) % len(here)]
        if at_cuts:
            work.attack_cuts(party, None if other is party else other, at_cuts)
        if "membership" in attacks:
            work.attack_model(party)
    if at_cuts:
        work.control(here[0], at_cuts)
    own_labels = subject.config.training.fake_labels == "own"
    document = Audit(
        round=subject.round,
        algorithm=subject.config.algorithm,
        seed=subject.config.seed,
        effort=asdict(effort),
        rows=tuple(found.rows),
        controls=tuple(found.controls),
        leakage=leakage_of(found.rows, subject.cuts, own_labels) if at_cuts else None,
        notes=tuple(found.notes),
        pictures=tuple(found.pictures),
    )
    return document, found.pictures


@dataclass
class _Work:
    """The attacks on one subject."""

    subject: Subject
    effort: Effort
    meter: Meter
    found: Found

    def __post_init__(self) -> None:
        config = self.subject.config
        self.batch_size, self.codec_of, self.seed = config.training.batch_size, config.wire.codec_of, config.seed
        cuts = self.subject.cuts
        self.heads = {name: sorted({h for h, _ in mine}) for name, mine in cuts.items()}
        self.tails = sorted({t for _, t in cuts["discriminator"]})
        self.is_hidden = self.subject.hidden is not None
        self._shadows: dict[tuple[int, int], Shadow] = {}

    def num_steps(self, here: Sequence[Party], attacks: Sequence[Attack]) -> int:
        """Steps of all decoders, and minibatches in white box."""
        if "inversion" not in attacks:
            return 0
        attackers = 1 if self.is_hidden else 2 + (len(here) > 1) + (self.subject.round > 0)
        minibatches = 0 if self.is_hidden else math.ceil(self.effort.targets / self.batch_size)
        places = len(here) * len(self.heads["discriminator"])
        return self.effort.decoder_steps * (places * attackers + 2) + places * minibatches

    def attack_cuts(self, party: Party, other: Party | None, attacks: Sequence[Attack]) -> None:
        """All attacks at all cuts, on one client."""
        networks = self.subject.networks_of(party)
        targets = party.targets(self.effort.targets)
        rows = {"original": targets.images}
        for depth in self.heads["discriminator"]:
            where = f"{party.domain}: D head, h = {depth}"
            if "inversion" in attacks:
                rows |= self._invert(party, other, networks, depth, where)
            if "distance_correlation" in attacks:
                self._correlate(party, networks, depth)
            if "labels" in attacks:
                self._labels_at_head(party, other, networks, depth, where)
        if "labels" in attacks:
            self._labels_elsewhere(party, networks)
        if len(rows) > 1:
            title = f"{party.domain}, client {party.client}: originals, and what the server makes of what crosses"
            self.found.pictures[f"domain-{party.index}.png"] = comparison(title, rows)

    def _invert(
        self, party: Party, other: Party | None, networks: Networks, depth: int, where: str
    ) -> dict[str, Tensor]:
        """Every attacker's images, by what to call them; the figures are noted."""
        blocks = networks.discriminator[: depth + 1]
        sight, targets = self._head(blocks), party.targets(self.effort.targets)
        known, seed = party.known(self.effort.known), self._seed("decoder")

        def by(train: Callable[[], Decoder]) -> Callable[[], Tensor]:
            return lambda: reconstruct(train(), sight, targets, self.batch_size)

        attackers: dict[str, Callable[[], Tensor]] = {}
        if not self.is_hidden:
            attackers[WHITE_BOX] = lambda: self._optimised(blocks, sight, targets, known)
            attackers[HEAD] = by(lambda: self._decoder(sight, known, seed))
            if other is not None:
                theirs = other.known(self.effort.known)
                attackers[OTHER.format(other.domain)] = by(lambda: self._decoder(sight, theirs, seed))
            if self.subject.round > 0:
                first = self._head(self.subject.initial.discriminator[: depth + 1])
                attackers[SEED] = by(lambda: self._decoder(first, known, seed))
        attackers[SHADOW] = by(lambda: self._shadow(party, sight, depth).decoder)
        place, chance = Place(party.domain, "discriminator", "head", depth), lines_of_chance(known, targets)
        images: dict[str, Tensor] = {}
        for attacker, attack in attackers.items():
            self.meter.begin(f"{where}, {attacker}")
            made = attack()
            images[f"h = {depth}: {attacker}"] = made
            figures = likeness(made, targets, party.classifier)
            self.found.note("inversion", place, attacker, figures, chance)
        return images

    def _head(self, blocks: Sequence[nn.Module]) -> Sight:
        """What a client sends of D's head, with the noise that it adds."""
        return head_of(blocks, self.codec_of("forward", "up"), self._disturbance())

    def _disturbance(self) -> Disturbance:
        return noise_of_clients(self.subject.config.privacy.activation_noise, self._seed("activation_noise"))

    def _decoder(self, sight: Sight, known: Images, seed: int) -> Decoder:
        return train_decoder(sight, known, self.batch_size, self.effort.decoder_steps, seed, self.meter.tick)

    def _optimised(self, blocks: Sequence[nn.Module], sight: Sight, targets: Images, known: Images) -> Tensor:
        """In white box; where the head is given labels, with those that a probe reads from what crosses."""
        observed, labels = seen_apart(sight, targets, self.batch_size), torch.zeros(len(targets), dtype=torch.int64)
        if any(takes_labels(block) for block in blocks):
            classes, steps, seed = self.subject.spec.num_classes, self.effort.probe_steps, self._seed("labels")
            labels, _ = labels_told(sight, known, torch.cat(observed), self.batch_size, classes, steps, seed)
        steps, strength = self.effort.optimised_steps, self.subject.config.privacy.activation_noise
        return optimised(blocks, observed, labels, known.images, steps, strength, self.meter.tick)

    def _shadow(self, party: Party, sight: Sight, depth: int) -> Shadow:
        """Of one head; made once."""
        if (party.index, depth) not in self._shadows:
            targets, known = party.targets(self.effort.targets), party.known(self.effort.known)
            observed, blocks = seen(sight, targets, self.batch_size), self._fresh_head(depth)
            seed, steps, tick = self._seed("shadow"), self.effort.decoder_steps, self.meter.tick
            made = train_shadow(blocks, observed, known, self.batch_size, steps, seed, tick, self._disturbance())
            self._shadows[party.index, depth] = made
        return self._shadows[party.index, depth]

    def _fresh_head(self, depth: int) -> Sequence[nn.Module]:
        """A head of this form that nobody has."""
        subject = self.subject
        made = build_networks(subject.spec, subject.config.model.blocks, self._seed("shadow") % 2**32)
        return made.discriminator[: depth + 1]

    def _labels_at_head(self, party: Party, other: Party | None, networks: Networks, depth: int, where: str) -> None:
        sight = self._head(networks.discriminator[: depth + 1])
        targets = party.targets(self.effort.targets)
        if self.is_hidden:
            self.meter.begin(f"{where}, labels")
            shadow, place = self._shadow(party, sight, depth), Place(party.domain, "discriminator", "head", depth)
            observed = seen(sight, targets, self.batch_size)
            self._read_labels(place, SHADOW, shadow.head, party.known(self.effort.known), targets, observed)
            return
        attackers = {HEAD: party} | ({} if other is None else {OTHER.format(other.domain): other})
        for attacker, whose in attackers.items():
            self.meter.begin(f"{where}, labels")
            known = whose.known(self.effort.known)
            self._read_labels(Place(party.domain, "discriminator", "head", depth), attacker, sight, known, targets)

    def _labels_elsewhere(self, party: Party, networks: Networks) -> None:
        """From the gradients of D's tails, and from G's heads, which are given the labels of a client's images."""
        targets, known = party.targets(self.effort.targets), party.known(self.effort.known)
        loss = gan_loss(self.subject.config.training.loss)
        for depth in self.tails:
            self.meter.begin(f"{party.domain}: D tail, t = {depth}, labels from gradients")
            sight = tail_gradient_of(networks.discriminator, depth + 1, loss, self.codec_of("backward", "up"))
            place = Place(party.domain, "discriminator", "tail", depth)
            if self.is_hidden:
                self._group(place, sight, targets)
            else:
                self._read_labels(place, NETWORKS, sight, known, targets)
        for depth in self.heads["generator"]:
            self.meter.begin(f"{party.domain}: G head, h = {depth}, labels")
            head = head_of(networks.generator[: depth + 1], self.codec_of("forward", "up"))
            latent = torch.Generator().manual_seed(self._seed("latent"))

            def of_labels(
                images: Tensor, labels: Tensor, head: Sight = head, latent: torch.Generator = latent
            ) -> Tensor:
                return head(torch.randn(len(labels), self.subject.spec.latent_size, generator=latent), labels)

            self._read_labels(Place(party.domain, "generator", "head", depth), GENERATOR, of_labels, known, targets)

    def _group(self, place: Place, sight: Sight, targets: Images) -> None:
        """Without a tail to compute gradients of known labels with."""
        crossing = seen(sight, targets, self.batch_size)
        found, chance = grouped_accuracy(crossing, targets.labels, self.subject.spec.num_classes, self._seed("labels"))
        self.found.note("labels", place, GROUPS, {"label_accuracy": found}, {"majority": chance})

    def _read_labels(
        self,
        place: Place,
        attacker: str,
        sight: Sight,
        known: Images,
        targets: Images,
        observed: Tensor | None = None,
    ) -> None:
        classes, steps, seed = self.subject.spec.num_classes, self.effort.probe_steps, self._seed("labels")
        found = label_accuracy(sight, known, targets, self.batch_size, classes, steps, seed, observed)
        self.found.note("labels", place, attacker, {"label_accuracy": found}, {"majority": majority(targets.labels)})

    def _correlate(self, party: Party, networks: Networks, depth: int) -> None:
        of = party.targets(self.effort.correlated)
        crossing = seen(self._head(networks.discriminator[: depth + 1]), of, self.batch_size)
        figures = {"distance_correlation": float(distance_correlation(of.images, crossing))}
        mixed = torch.randperm(len(of), generator=torch.Generator().manual_seed(self._seed("mixed")))
        chance = {"distance_correlation": float(distance_correlation(of.images, crossing[mixed]))}
        place = Place(party.domain, "discriminator", "head", depth)
        self.found.note("distance_correlation", place, "activations", figures, chance)

    def attack_model(self, party: Party) -> None:
        """Membership, from the finished generator and from its discriminator."""
        if self.subject.released is None:
            return
        self.meter.begin(f"{party.domain}: membership")
        networks, seed = self.subject.networks(party.model), self._seed("membership")
        members, others = party.matched(self.effort.members)
        samples = self._samples(self.subject.released(party.model), members.labels)
        self._note_membership(party, SAMPLES, [nearness(samples, images) for images in (members, others)], seed)
        if self.is_hidden:
            pass  # nobody who would attack has D
        elif networks.discriminator:
            blocks = [block.eval() for block in networks.discriminator]
            self._note_membership(party, SCORE, [_scores(blocks, images) for images in (members, others)], seed)
        else:
            self.found.notes.append(f"{party.domain}: the model has no discriminator, so nothing is known of its score")

    def _samples(self, generator: Sequence[nn.Module], labels: Tensor) -> Images:
        """The generator's, with the labels of the members as often as these have them."""
        asked = labels[torch.arange(self.effort.samples) % len(labels)]
        latent = torch.Generator().manual_seed(self._seed("samples"))
        return Images(sample_images(generator, self.subject.spec, asked, latent), asked)

    def _note_membership(self, party: Party, attacker: str, scores: Sequence[Tensor], seed: int) -> None:
        figures = membership_figures(scores[0], scores[1], seed)
        self.found.note("membership", Place(party.domain), attacker, figures, {"auc": 0.5, "found_at_1_percent": 0.01})

    def control(self, party: Party, attacks: Sequence[Attack]) -> None:
        """The attacks on a head that hides nothing, and on noise, which tells nothing."""
        targets, known = party.targets(self.effort.targets), party.known(self.effort.known)
        networks = self.subject.networks_of(party)
        like = head_of(networks.discriminator[:1])(*known.batch(torch.arange(2)))
        for name, sight in (
            (IDENTITY, identity(self.subject.spec.num_classes)),
            (NOISE, noise(like, torch.Generator().manual_seed(self._seed("noise")))),
        ):
            self.meter.begin(f"control: {name}")
            if "inversion" in attacks:
                made = reconstruct(self._decoder(sight, known, self._seed("decoder")), sight, targets, self.batch_size)
                figures = likeness(made, targets, party.classifier)
                self.found.note("inversion", Place(party.domain), name, figures, lines_of_chance(known, targets))
            if "labels" in attacks:
                self._read_labels(Place(party.domain), name, sight, known, targets)

    def _seed(self, purpose: str) -> int:
        return torch_seed(self.seed, f"audit {purpose}")


def _scores(blocks: Sequence[nn.Module], images: Images) -> Tensor:
    """D's logits."""
    with torch.inference_mode():
        parts = torch.arange(len(images)).split(500)
        return torch.cat([run_blocks(blocks, *images.batch(rows)) for rows in parts])
