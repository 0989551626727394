"""What an inversion comes to: how like the originals its images are, beside images that anybody could give."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import peak_signal_noise_ratio

from raygan.evaluation.classifier import DomainClassifier
from raygan.privacy.decoder import ssim
from raygan.privacy.sight import Images


def likeness(found: Tensor, of: Images, classifier: DomainClassifier | None = None) -> dict[str, float]:
    """SSIM and PSNR (dB), each the mean over images; the share of images that are nearest to their own original of all;
    and with a classifier the share of them to which it gives the original's label."""
    psnr = peak_signal_noise_ratio(
        found, of.images, data_range=2.0, dim=tuple(range(1, found.dim())), reduction="elementwise_mean"
    )
    nearest = torch.cdist(found.flatten(1), of.images.flatten(1)).argmin(1)
    figures = {
        "ssim": float(ssim(found, of.images).mean()),
        "psnr": float(psnr),
        "identified": float((nearest == torch.arange(len(of))).float().mean()),
    }
    if classifier is not None:
        figures["recognised"] = float((classifier.logits(found).argmax(1) == of.labels).float().mean())
    return figures


def lines_of_chance(known: Images, of: Images) -> dict[str, float]:
    """SSIM of one image for all, the mean of what the attacker has, and of the mean of each original's class there."""
    mean = known.images.mean(0)
    by_class = torch.stack([_class_mean(known, int(label), mean) for label in of.labels])
    return {
        "ssim_constant": float(ssim(mean.expand_as(of.images).contiguous(), of.images).mean()),
        "ssim_class_mean": float(ssim(by_class, of.images).mean()),
        "identified": 1 / len(of),
    }


def _class_mean(known: Images, label: int, otherwise: Tensor) -> Tensor:
    mine = known.labels == label
    return known.images[mine].mean(0) if mine.any() else otherwise
