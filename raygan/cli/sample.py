"""`raygan sample`: a grid or an `.npz` file of images from one model's generator."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import torch

from raygan.errors import InputError
from raygan.evaluation.grid import sample_grid
from raygan.evaluation.images import as_uint8
from raygan.run.stored import Run
from raygan.storage import replace_file

MOST = {".png": 1_000, ".npz": 1_000_000}
"""What may be written, and the most images of a label in it."""


def draw_samples(
    run: Run,
    cluster: int | None,
    labels: str | None,
    count: int,
    round_number: int | None,
    seed: int,
    out: Path,
) -> str:
    """Writes `count` images of each label from one model and says in one line what was written.

    Args:
        cluster: the model; None: the first.
        labels: such as `0,1,2`; None: all classes of its clients' domains.
        round_number: from 1; None: the last that was kept.
        out: `.png` (a grid, a row a label) or `.npz` (`images` uint8 (N, H, W) or (N, H, W, 3), `labels`
            int64 (N,), `classes`).

    Raises:
        InputError: an unknown model, label, round or suffix, or a file that cannot be written.
    """
    if out.suffix.lower() not in MOST:
        raise InputError("--out", f"{out.name!r} is neither a picture nor an array", "end it in .png or .npz")
    most = MOST[out.suffix.lower()]
    if not 1 <= count <= most:
        raise InputError("--count", str(count), f"give 1 to {most:,} images of each label")
    if not 0 <= seed < 2**63:
        raise InputError("--seed", str(seed), "give a whole number from 0")
    number = run.kept_round(round_number)
    membership = run.membership(number)
    chosen = min(membership.values()) if cluster is None else cluster
    generator = run.generator(chosen, number)
    names = _class_names(run, chosen, membership)
    wanted = np.repeat(_parsed(labels, len(names), generator.num_classes), count)
    images = torch.from_numpy(generator.sample(wanted, seed))
    name = f"{run.model_kind} {chosen} after round {number}"
    try:
        if out.suffix.lower() == ".png":
            sample_grid(images, wanted, out, names, f"{run.path.name}: {name}, seed {seed}", columns=count)
        else:
            _write_npz(out, images, wanted, names)
    except OSError as error:
        raise InputError("--out", f"{out} cannot be written ({error.strerror})", "choose another") from None
    return f"wrote {out}: {len(wanted)} images of {name}"


def _class_names(run: Run, cluster: int, membership: dict[int, int]) -> list[str]:
    """Names of the labels that a model's clients hold; where their domains differ, the numbers."""
    held = {run.domain_of[client] for client, number in membership.items() if number == cluster}
    classes = [run.infos[index].classes for index in sorted(held)] or [info.classes for info in run.infos]
    if all(names == classes[0] for names in classes):
        return list(classes[0])
    return [str(label) for label in range(max(map(len, classes)))]


def _write_npz(path: Path, images: torch.Tensor, labels: np.ndarray, names: list[str]) -> None:
    pixels = as_uint8(images).permute(0, 2, 3, 1).numpy()
    shown = pixels[..., 0] if pixels.shape[-1] == 1 else pixels
    content = io.BytesIO()
    np.savez_compressed(content, images=shown, labels=labels, classes=np.array(names))
    replace_file(path, content.getvalue())


def _parsed(labels: str | None, num_held: int, num_known: int) -> list[int]:
    if labels is None:
        return list(range(num_held))
    if not re.fullmatch(r"\s*\d{1,9}\s*(,\s*\d{1,9}\s*)*", labels):
        raise InputError("--labels", repr(labels), "give numbers with commas between, such as 0,1,2")
    numbers = list(dict.fromkeys(int(part) for part in labels.split(",")))
    for number in numbers:
        if number >= num_known:
            raise InputError("--labels", f"no label {number}", f"give labels from 0 to {num_known - 1}")
    return numbers
