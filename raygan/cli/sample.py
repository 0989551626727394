"""`raygan sample`: a grid, an `.npz` file or a sound from one model's generator, of a run or an exported file."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from raygan.data.classes import BETWEEN
from raygan.data.loaders.recordings import Hearing
from raygan.data.sound import wav_file, waves
from raygan.errors import InputError, instead_of
from raygan.evaluation.grid import of_classes, rows_of_a_screen, sample_grid
from raygan.evaluation.images import as_uint8
from raygan.export import read_export
from raygan.names import Weights
from raygan.run.stored import Generator, Run
from raygan.storage import replace_file

MOST = {".png": 1_000, ".npz": 1_000_000, ".wav": 1_000}
"""What may be written, and the most images of a label in it."""
MAX_SHOWN = 30  # names of classes in an error


@dataclass(frozen=True)
class Wanted:
    """What is to be drawn; checked.

    Raises:
        InputError: a number that cannot be, or a file of a kind that is not written.
    """

    labels: str | None
    """Such as `0,1,2`, or names of classes; None: all that have a name."""
    count: int
    """Images of each label."""
    seed: int
    out: Path
    """`.png` (a grid, a row a label), `.npz` (`images` uint8 (N, H, W) or (N, H, W, 3), `labels` int64 (N,), `classes`)
    or, where they can be heard, `.wav` (one after the other)."""

    def __post_init__(self) -> None:
        if self.suffix not in MOST:
            found = f"{self.out.name!r} is neither a picture nor an array nor a sound"
            raise InputError("--out", found, "end it in .png, .npz or .wav")
        if not 1 <= self.count <= MOST[self.suffix]:
            raise InputError("--count", str(self.count), f"give 1 to {MOST[self.suffix]:,} images of each label")
        if not 0 <= self.seed < 2**63:
            raise InputError("--seed", str(self.seed), "give a whole number from 0")

    @property
    def suffix(self) -> str:
        """Of the file, in small letters."""
        return self.out.suffix.lower()


def sample_run(
    run: Run, cluster: int | None, round_number: int | None, wanted: Wanted, weights: Weights | None = None
) -> str:
    """Draws from a model's generator (None: the first; the last kept round) and says in one line what was written.

    Args:
        weights: as for `Run.generator_states`.

    Raises:
        InputError: an unknown model, label or round, or a file that cannot be written.
    """
    number = run.kept_round(round_number)
    chosen = run.first_model(number) if cluster is None else cluster
    generator = run.generator(chosen, number, weights)
    name = f"{run.model_kind} {chosen} after round {number}"
    names = run.class_names(chosen, number)
    return _draw(generator, names, run.path.name, name, wanted, run.hearing(chosen, number))


def sample_export(path: Path, trust: bool, wanted: Wanted) -> str:
    """As `sample_run`, from a file of `raygan export`.

    Raises:
        InputError: not such a file, or as there.
    """
    card, generator = read_export(path, trust)
    name = f"{card.model} after round {card.round}"
    return _draw(generator, card.classes, card.run, name, wanted, card.hearing)


def _draw(
    generator: Generator, names: Sequence[str], run: str, name: str, wanted: Wanted, hearing: Hearing | None
) -> str:
    if wanted.suffix == ".wav" and hearing is None:
        remedy = "end it in .png or .npz; data.domains.N.log_mel says that pictures are log-mel"
        raise InputError("--out", f"{wanted.out.name!r}, but {name} draws no recordings", remedy)
    rows = _parsed(wanted.labels, names, generator.num_classes)
    more = ""
    if wanted.labels is None and wanted.suffix == ".png":
        rows = rows_of_a_screen(len(names), generator.image_size)
        more = of_classes(rows, len(names))
    labels = np.repeat(rows, wanted.count)
    images = torch.from_numpy(generator.sample(labels, wanted.seed))
    try:
        if wanted.suffix == ".png":
            title = f"{run}: {name}, seed {wanted.seed}{more}"
            sample_grid(images, labels, wanted.out, names, title, columns=wanted.count)
        elif hearing is not None and wanted.suffix == ".wav":
            clips = waves(as_uint8(images)[:, 0].numpy(), hearing)
            replace_file(wanted.out, wav_file(clips, hearing.sample_rate))
        else:
            _write_npz(wanted.out, images, labels, names)
    except OSError as error:
        raise InputError("--out", f"{wanted.out} cannot be written ({error.strerror})", "choose another") from None
    return f"wrote {wanted.out}: {len(labels)} images of {name}"


def _write_npz(path: Path, images: torch.Tensor, labels: np.ndarray, names: Sequence[str]) -> None:
    pixels = as_uint8(images).permute(0, 2, 3, 1).numpy()
    shown = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    content = io.BytesIO()
    np.savez_compressed(content, images=shown, labels=labels, classes=np.array(names))
    replace_file(path, content.getvalue())


def _parsed(labels: str | None, names: Sequence[str], num_known: int) -> list[int]:
    """The labels in `0,1,2` or in `cat,dog`; a class that is called by a number is meant by it."""
    if labels is None:
        return list(range(len(names)))
    places = {own: label for label, name in enumerate(names) for own in (name, *name.split(BETWEEN))}
    numbers = []
    for part in map(str.strip, labels.split(",")):
        if part not in places and not re.fullmatch(r"0|[1-9]\d{0,8}", part):
            remedy = instead_of(part, list(places)[:MAX_SHOWN])
            raise InputError("--labels", f"{part!r} is no class and no number", remedy)
        number = places[part] if part in places else int(part)
        if number >= num_known:
            raise InputError("--labels", f"no label {number}", f"give labels from 0 to {num_known - 1}")
        numbers.append(number)
    return list(dict.fromkeys(numbers))
