"""Reads what `raygan export` wrote: the generator, ready to sample, and its card."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import nn

from raygan.errors import InputError, first_line
from raygan.export.card import KEY, SUFFIXES, Card, parsed_card
from raygan.export.onnx import OnnxModule
from raygan.export.quiet import quiet
from raygan.nn.blocks import with_labels
from raygan.nn.network import GeneratorModule, build_networks
from raygan.run.stored import Generator


def is_export(path: Path) -> bool:
    """Whether the path means an exported file rather than a run's folder, by its name."""
    return path.is_file() or (path.suffix.lower() in SUFFIXES.values() and not path.is_dir())


def read_export(path: Path, trust: bool = False) -> tuple[Card, Generator]:
    """The card and the generator of an exported file.

    Args:
        trust: whether code may be loaded: torch's own format brings some along, safetensors may name networks.

    Raises:
        InputError: not such a file, a damaged one, or one that needs trust.
    """
    kind = next((kind for kind, suffix in SUFFIXES.items() if suffix == path.suffix.lower()), None)
    if kind is None:
        found = "neither a run's folder nor an exported generator"
        raise InputError(str(path), found, f"give one, or a file that ends in {', '.join(SUFFIXES.values())}")
    if kind == "torch":
        _check_trust(path, "torch reads this format by unpickling", trust)
    try:
        with quiet():
            card, module = {"torch": _torch, "onnx": _onnx, "safetensors": _safetensors}[kind](path, trust)
    except InputError:
        raise
    except Exception as error:  # each library has its own kinds for a damaged file
        raise InputError(str(path), f"cannot be read ({first_line(error)[:160]})", "export it again") from None
    return card, Generator(card.spec, [with_labels(module)])


def _torch(path: Path, trust: bool) -> tuple[Card, nn.Module]:
    extra = {KEY: ""}
    program = torch.export.load(path, extra_files=extra)
    return parsed_card(extra[KEY] or None, str(path)), program.module()


def _onnx(path: Path, trust: bool) -> tuple[Card, nn.Module]:
    module = OnnxModule(str(path))
    return module.card, module


def _safetensors(path: Path, trust: bool) -> tuple[Card, nn.Module]:
    with safe_open(path, "pt") as file:
        card = parsed_card((file.metadata() or {}).get(KEY), str(path))
    if card.own_networks is not None:
        _check_trust(path, f"its networks are code of their own ({card.own_networks})", trust)
    module = GeneratorModule(*build_networks(card.spec, card.blocks, 0).generator).contiguous().eval()
    try:
        module.load_state_dict(load_file(path))
    except (RuntimeError, SafetensorError):
        raise InputError(str(path), "its arrays are not those of its networks", "export it again") from None
    return card, module


def _check_trust(path: Path, found: str, trust: bool) -> None:
    if not trust:
        raise InputError(str(path), found, "give --trust if you know whose it is")
