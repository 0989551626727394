"""Writes a generator so that others can use it: as a `torch.export` program, as ONNX or as safetensors."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from raygan.errors import InputError, first_line
from raygan.export.card import KEY, SUFFIXES, Card, card_of
from raygan.export.onnx import OnnxModule, check_packages
from raygan.export.quiet import quiet
from raygan.names import Weights
from raygan.run.stored import Run
from raygan.storage import replace_file

ONNX_TOLERANCE = 1e-5
"""Largest difference of a value in [-1, 1] that ONNX Runtime may show."""
CHECKED_IMAGES = 16


def write_export(
    run: Run,
    model: int | None = None,
    kind: str = "torch",
    out: str | Path | None = None,
    round_number: int | None = None,
    weights: Weights | None = None,
) -> Path:
    """Writes a model's generator, whole or not at all, and returns the file.

    Args:
        model: whose; None: the first.
        kind: one of FORMATS.
        out: the file; None: `RUN-cluster-0.pt2` here, with the run's and the model's names.
        round_number: from 1; None: the last that was kept.
        weights: as for `Run.generator_states`.

    Raises:
        InputError: no such format, model or round, networks that the format cannot hold, a package that is missing, or a
            file that cannot be written.
    """
    if kind not in FORMATS:
        raise InputError("--format", repr(kind), f"give one of {', '.join(FORMATS)}")
    number = run.kept_round(round_number)
    chosen = run.first_model(number) if model is None else model
    suffix = SUFFIXES[kind]
    path = Path(out) if out is not None else Path(f"{run.path.name}-{run.model_kind}-{chosen}{suffix}")
    if path.suffix.lower() != suffix:
        raise InputError("--out", f"{path.name!r} with --format {kind}", f"end it in {suffix}")
    generator = run.generator(chosen, number, weights)
    content = FORMATS[kind](generator.module().requires_grad_(False), card_of(run, chosen, number, weights))
    try:
        replace_file(path, content)
    except OSError as error:
        raise InputError("--out", f"{path} cannot be written ({error.strerror})", "choose another") from None
    return path


def _as_safetensors(module: nn.Module, card: Card) -> bytes:
    """The parameters and buffers by the names of the module's `state_dict`."""
    return save(module.state_dict(), metadata={KEY: card.model_dump_json()})


def _as_torch(module: nn.Module, card: Card) -> bytes:
    content = io.BytesIO()
    with quiet():
        torch.export.save(_program(module, card), content, extra_files={KEY: card.model_dump_json(indent=1)})
    return content.getvalue()


def _as_onnx(module: nn.Module, card: Card) -> bytes:
    """Through torch's own exporter; what ONNX Runtime makes of it is compared before anybody gets it."""
    check_packages("--format onnx", "onnx", "onnxscript", "onnxruntime")
    program = _program(module, card)
    with quiet():
        onnx = torch.onnx.export(
            program, _example(card), dynamo=True, input_names=card.inputs, output_names=[card.output], verbose=False
        )
    assert onnx is not None
    model = onnx.model_proto
    model.metadata_props.add(key=KEY, value=card.model_dump_json())
    content: bytes = model.SerializeToString()
    _check_onnx(content, module, card)
    return content


FORMATS: dict[str, Callable[[nn.Module, Card], bytes]] = {
    "torch": _as_torch,
    "onnx": _as_onnx,
    "safetensors": _as_safetensors,
}
"""By name: the module and its card -> the file's content."""


def _program(module: nn.Module, card: Card) -> torch.export.ExportedProgram:
    """The module as a graph of torch's own operations, for any number of images.

    Raises:
        InputError: networks of the user's that do what a graph cannot hold.
    """
    batch = torch.export.Dim("batch", min=1)
    try:
        with quiet():
            return torch.export.export(
                module, _example(card), dynamic_shapes={name: {0: batch} for name in ("z", "labels")}
            )
    except Exception as error:  # torch raises many kinds, and the user's code any
        found = f"these networks cannot be exported ({first_line(error)[:200]})"
        raise InputError(card.own_networks or "raygan export", found, "use --format safetensors") from None


def _example(card: Card, num_images: int = 2) -> tuple[Tensor, Tensor]:
    """Latents z (N, Z) and labels (N,)."""
    drawn = torch.Generator().manual_seed(0)
    labels = torch.randint(card.num_classes, (num_images,), generator=drawn)
    return torch.randn(num_images, card.latent_size, generator=drawn), labels


def _check_onnx(content: bytes, module: nn.Module, card: Card) -> None:
    """Compares with the module.

    Raises:
        InputError: the images differ.
    """
    with torch.inference_mode():
        inputs = _example(card, CHECKED_IMAGES)
        difference = float((OnnxModule(content, card)(*inputs) - module(*inputs)).abs().max())
    if not difference <= ONNX_TOLERANCE:
        found = f"ONNX Runtime's images differ by {difference:.2g} (at most {ONNX_TOLERANCE:g})"
        raise InputError("--format onnx", found, "use --format torch or safetensors")
