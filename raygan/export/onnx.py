"""ONNX Runtime behind the interface of a torch module."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from raygan.errors import InputError
from raygan.export.card import KEY, Card, parsed_card


def check_packages(where: str, *names: str) -> None:
    """Nothing, if these packages are there.

    Raises:
        InputError: one is not.
    """
    for name in names:
        try:
            import_module(name)
        except ImportError:
            raise InputError(where, f"needs {name}", "pip install 'raygan[onnx]'") from None


class OnnxModule(nn.Module):
    """An ONNX model, called as the generator that it was made from."""

    def __init__(self, model: str | bytes, card: Card | None = None) -> None:
        check_packages("an ONNX file", "onnxruntime")
        import onnxruntime

        super().__init__()
        self.session: Any = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        where = str(model) if isinstance(model, str) else "raygan export"
        self.card = card or parsed_card(self.session.get_modelmeta().custom_metadata_map.get(KEY), where)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Latents z (B, Z), labels (B,) -> images (B, C, H, W)."""
        given = dict(zip(self.card.inputs, (z.numpy(), labels.numpy()), strict=True))
        (images,) = self.session.run([self.card.output], given)
        return torch.from_numpy(images)
