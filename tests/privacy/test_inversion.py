"""An attack that is weak proves nothing: it finds all where all is to be found, and nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from raygan.nn.losses import gan_loss
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.privacy.decoder import reconstruct, ssim, train_decoder
from raygan.privacy.inversion import likeness, lines_of_chance
from raygan.privacy.labels import label_accuracy, majority
from raygan.privacy.shadow import train_shadow
from raygan.privacy.sight import Images, Sight, head_of, identity, noise, noise_of_clients, seen, tail_gradient_of
from tests.privacy.smooth import NUM_CLASSES, smooth

BATCH = 16
KNOWN, TARGETS = smooth(256, 1), smooth(64, 2)
SPEC = NetworkSpec(image_size=12, channels=1, num_classes=NUM_CLASSES, width=0.125)
HEAD = build_networks(SPEC, None, 3).discriminator[:1]


def inverted(sight: Sight, steps: int = 200) -> dict[str, float]:
    decoder = train_decoder(sight, KNOWN, BATCH, steps, 0)
    return likeness(reconstruct(decoder, sight, TARGETS, BATCH), TARGETS)


def read(sight: Sight) -> float:
    return label_accuracy(sight, KNOWN, TARGETS, BATCH, NUM_CLASSES, 150, 0)


def test_of_a_head_that_hides_nothing_all_is_found() -> None:
    sight = identity(NUM_CLASSES)
    figures = inverted(sight)
    assert figures["ssim"] > 0.95
    assert figures["identified"] == 1
    assert read(sight) > 0.95


def test_of_noise_nothing_is_found() -> None:
    sight = noise(torch.zeros(1, 8, 6, 6), torch.Generator().manual_seed(0))
    chance, figures = lines_of_chance(KNOWN, TARGETS), inverted(sight)
    assert figures["ssim"] <= chance["ssim_constant"] + 0.05
    assert figures["identified"] <= 4 * chance["identified"]
    assert read(sight) <= majority(TARGETS.labels) + 0.1


def test_a_convolution_hides_neither_images_nor_labels() -> None:
    """The paper's first block of D, which is given the label as a plane, through int8 as well."""
    figures = inverted(head_of(HEAD))
    assert figures["ssim"] > lines_of_chance(KNOWN, TARGETS)["ssim_class_mean"] + 0.3
    assert figures["identified"] > 0.9
    assert read(head_of(HEAD, "int8")) > 0.95


def test_the_noise_of_clients_is_in_what_the_attacker_sees_and_the_attacker_makes_noise_as_well() -> None:
    sight = head_of(HEAD, disturbance=noise_of_clients(20, 0))
    assert inverted(sight)["identified"] < 0.5, "without it more than 0.9 are"
    heard: list[int] = []
    own = build_networks(SPEC, None, 9).discriminator[:1]

    def loud(x: torch.Tensor) -> torch.Tensor:
        heard.append(len(x))
        return noise_of_clients(20, 0)(x)

    train_shadow(own, seen(sight, TARGETS, BATCH), KNOWN, BATCH, 3, 0, disturbance=loud)
    assert heard == [BATCH] * 3


def of_tail(networks: str) -> float:
    spec = replace(SPEC, networks=networks)
    return read(tail_gradient_of(build_networks(spec, None, 3).discriminator, 1, gan_loss("bce")))


def test_a_label_in_the_last_block_leaves_the_head_and_comes_back_with_the_gradient() -> None:
    """At a projection's last block the gradient of a logit is w + V_y, a direction of its own for each label; else w."""
    projection = build_networks(replace(SPEC, networks="projection"), None, 3).discriminator
    assert read(head_of(projection[:1])) <= majority(TARGETS.labels) + 0.15
    assert of_tail("projection") > 0.95
    assert of_tail("paper") <= majority(TARGETS.labels) + 0.15


def test_without_the_head_the_attacker_trains_its_own() -> None:
    sight = head_of(HEAD)
    own = build_networks(SPEC, None, 9).discriminator[:1]
    ticks: list[int] = []
    shadow = train_shadow(own, seen(sight, TARGETS, BATCH), KNOWN, BATCH, 60, 0, lambda: ticks.append(1))
    made = reconstruct(shadow.decoder, sight, TARGETS, BATCH)
    assert made.shape == TARGETS.images.shape
    assert len(ticks) == 60
    before = own[0].state_dict()
    assert all(
        torch.equal(x, build_networks(SPEC, None, 9).discriminator[0].state_dict()[name]) for name, x in before.items()
    )


def test_the_head_is_seen_as_it_is_in_training_and_left_as_it_is() -> None:
    """BatchNorm over the batch, as in a step, and its running statistics are not touched."""
    before = HEAD[0].norm.running_mean.clone()
    sight = head_of(HEAD)
    crossing = sight(*TARGETS.batch(torch.arange(BATCH)))
    assert torch.equal(HEAD[0].norm.running_mean, before)
    block = build_networks(SPEC, None, 3).discriminator[0].train()
    with torch.no_grad():
        assert torch.equal(crossing, block(*TARGETS.batch(torch.arange(BATCH))))


def test_the_same_attack_twice_is_the_same() -> None:
    assert inverted(head_of(HEAD), 20) == inverted(head_of(HEAD), 20)


def test_likeness_by_hand() -> None:
    """Equal images: SSIM 1, each its own nearest. An error of 0.2 on a range of 2: 20 log10(2 / 0.2) = 20 dB."""
    figures = likeness(TARGETS.images, TARGETS)
    assert (figures["ssim"], figures["identified"]) == (pytest.approx(1), 1)
    assert likeness(TARGETS.images * 0 + 0.2, Images(TARGETS.images * 0, TARGETS.labels))["psnr"] == pytest.approx(20)
    assert ssim(TARGETS.images, TARGETS.images).shape == (len(TARGETS),)


def test_lines_of_chance_are_of_means() -> None:
    """Two classes of one image each: the mean of a class is the image itself."""
    two = Images(TARGETS.images[:2], torch.tensor([0, 1]))
    chance = lines_of_chance(two, two)
    assert chance["ssim_class_mean"] == pytest.approx(1)
    assert chance["ssim_constant"] < 0.95
    assert chance["identified"] == 0.5


def test_a_rest_of_one_image_joins_the_batch_before() -> None:
    """BatchNorm cannot take one image."""
    sizes: list[int] = []

    def sight(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(labels))
        return images

    assert len(seen(sight, smooth(33, 0), 16)) == 33
    assert sizes == [16, 17]


def test_the_majority_by_hand() -> None:
    assert majority(torch.tensor([0, 0, 2])) == pytest.approx(2 / 3)
