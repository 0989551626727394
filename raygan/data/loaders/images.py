"""Folders of pictures, one folder a class.

Pictures become 8-bit grey or RGB. What they hold beyond that is not guessed at: transparency is laid over one colour
(`background`), 16 bits are 0 to 65535, floating-point pixels 0 to 1, and where that cannot be what is meant, the domain's
`pixel_range` is asked for.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from raygan.data.loaders.folders import Decoded, FolderSource, Tally, list_by_class, unreadable
from raygan.data.loaders.tables import list_by_table
from raygan.errors import DataError

if TYPE_CHECKING:
    from raygan.config.schema import DomainConfig

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY_MODES = ("1", "L", "LA", "La", "I", "F")
DEEP_MODES = ("I", "F")
BLANK = "are one colour once they are laid over the background"
DEEP_COLOUR = "16-bit RGB, of which the upper 8 are read"
FEW_BITS = 12  # 16-bit pictures that use no more than these would keep 16 of 256 levels


@dataclass(frozen=True)
class Reading:
    """How pictures are read."""

    image_size: int | None = None
    """Side in pixels that they are brought to; None: as stored."""
    pixel_range: tuple[float, float] | None = None
    """Values that become black and white; None: those of their depth."""
    background: int = 255
    """Grey value that transparent pictures are laid over."""


AS_STORED = Reading()


def open_images(root: Path, where: str, image_size: int | None, domain: DomainConfig) -> FolderSource:
    """The pictures of a folder; with `image_size`, each brought to that side in pixels as it is read. Errors as
    `list_by_class` and `list_by_table`."""
    reading = Reading(image_size, domain.pixel_range, domain.background)
    decode = partial(decode_picture, reading=reading)
    if domain.csv is not None:
        source = list_by_table(root, domain.csv, SUFFIXES, where, decode)
    else:
        source = list_by_class(root, SUFFIXES, where, decode, one_class=domain.classes is not None)
    return replace(source, judge=partial(_judge, where=where, reading=reading))


def decode_picture(path: Path, reading: Reading = AS_STORED) -> Decoded:
    """One picture upright (EXIF), uint8 (H, W) if it is grey, else (H, W, 3); of several frames the first.

    Raises:
        DataError: it cannot be read to its end, or its pixels are no numbers of a known range.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            size = file.height, file.width
            deep_colour = _is_deep_colour(file)
            if deep_colour and reading.pixel_range is not None:
                raise DataError(
                    str(path), f"{DEEP_COLOUR}, and a pixel_range", "make 8-bit pictures, without a pixel_range"
                )
            picture, form, highest = _eight_bit(ImageOps.exif_transpose(file), file, reading, path)
            if deep_colour:
                form, highest = DEEP_COLOUR, 256.0 * np.max(picture.getextrema())
            side = reading.image_size
            if side is not None and picture.size != (side, side):
                picture = picture.resize((side, side), Image.Resampling.BILINEAR)
            pixels = np.asarray(picture, dtype=np.uint8)
            return Decoded(pixels, form, size, _odd(file, form, pixels, reading), highest)
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise unreadable(path, "picture", error) from error


def _eight_bit(picture: Any, file: Any, reading: Reading, path: Path) -> tuple[Any, str, float | None]:
    """Grey (`L`) or RGB of any mode, what it was, and the largest value of one that may use part of its range only."""
    if picture.mode in DEEP_MODES or picture.mode.startswith("I;16"):
        return _of_deep(picture, file, reading, path)
    mode = "L" if picture.mode in GREY_MODES else "RGB"
    form = "1-bit" if picture.mode == "1" else f"8-bit {'grey' if mode == 'L' else 'RGB'}"
    if picture.has_transparency_data:
        layers = picture.convert("RGBA")
        if layers.getchannel("A").getextrema()[0] < 255:
            picture, form = _laid_over(layers, reading.background), f"{form}, transparent"
    picture = picture.convert(mode)
    if reading.pixel_range is not None:
        return _from_range(np.asarray(picture), reading.pixel_range), form, None
    return picture, form, None


def _of_deep(picture: Any, file: Any, reading: Reading, path: Path) -> tuple[Any, str, float | None]:
    """A grey picture of 16 bits, 32 bits or floating-point numbers."""
    from PIL import Image

    values = np.asarray(picture)
    form = _deep_form(picture.mode, file)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise DataError(str(path), "pixels that are not finite numbers", "mend or remove it")
    if reading.pixel_range is not None:
        return _from_range(values, reading.pixel_range), form, None
    if form == "16-bit grey":
        return Image.fromarray(np.clip(values // 256, 0, 255).astype(np.uint8)), form, float(values.max())
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind == "f" and low >= 0 and high <= 1:
        return _from_range(values, (0, 1)), form, None
    found = f"{form} pixels from {low:g} to {high:g}, of which nobody knows what is black and what is white"
    raise DataError(str(path), found, "give its domain pixel_range: [black, white]")


def _deep_form(mode: str, file: Any) -> str:
    if mode == "F":
        return "floating-point grey"
    if mode == "I" and file.format == "TIFF":
        bits = getattr(file, "tag_v2", {}).get(258, (32,))
        return f"{bits[0]}-bit signed or 32-bit grey" if bits[0] == 16 else "32-bit grey"
    return "16-bit grey"


def _is_deep_colour(file: Any) -> bool:
    """Pillow reads the upper 8 of 16 bits in colour."""
    return any("16" in str(tile[3]) for tile in getattr(file, "tile", [])) and file.mode in ("RGB", "RGBA", "LA")


def _from_range(values: np.ndarray, pixel_range: tuple[float, float]) -> Any:
    """Black to white over the range, clipped, rounded."""
    from PIL import Image

    black, white = pixel_range
    scaled = (values.astype(np.float64) - black) / (white - black) * 255
    return Image.fromarray(np.rint(np.clip(scaled, 0, 255)).astype(np.uint8))


def _laid_over(layers: Any, background: int) -> Any:
    from PIL import Image

    ground = Image.new("RGBA", layers.size, (background, background, background, 255))
    return Image.alpha_composite(ground, layers)


def _odd(file: Any, form: str, pixels: np.ndarray, reading: Reading) -> str | None:
    if form.endswith("transparent") and pixels.min() == pixels.max():
        return BLANK
    with suppress(Exception):  # a damaged second frame is nobody's loss
        if file.format in ("GIF", "TIFF", "WEBP", "PNG") and getattr(file, "n_frames", 1) > 1:
            return "have several frames, of which the first is read"
    return None


def _judge(tally: Tally, where: str, reading: Reading) -> None:
    """Asks what cannot be told from the pictures.

    Raises:
        DataError: names the key.
    """
    transparent = sum(count for form, count in tally.forms.items() if form.endswith("transparent"))
    if transparent and tally.odd[BLANK] == transparent:
        found = f"its {transparent:,} transparent pictures are one colour once they are laid over grey value"
        other = 0 if reading.background > 127 else 255
        raise DataError(where, f"{found} {reading.background}", f"give its domain background: {other}")
    for form, highest in tally.highest.items():
        if highest < 2**FEW_BITS:
            found = f"{form} pictures, none of whose values is above {highest:g}"
            if form == DEEP_COLOUR:
                raise DataError(where, found, "make 8-bit pictures of them")
            most = 2 ** int(highest).bit_length() - 1
            raise DataError(where, found, f"give its domain pixel_range: [0, {most}], or [0, 65535] if they are dark")
