import numpy as np
import pytest
import torch
from PIL import Image

from raygan.errors import DataError
from raygan.evaluation.grid import BACKGROUND, GAP, MARGIN, SCREEN_PIXELS, of_classes, rows_of_a_screen, sample_grid

CELL = 56  # 28 pixels, twice


def flat_images(values, channels=1):
    """28x28 images of one value each."""
    return torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, channels, 28, 28).clone()


def cell(picture, row, column, num_columns):
    """The pixel in the middle of a cell of a grid without a title."""
    left = picture.width - MARGIN - num_columns * (CELL + GAP) + GAP
    x, y = left + column * (CELL + GAP), MARGIN + row * (CELL + GAP)
    return picture.getpixel((x + CELL // 2, y + CELL // 2))


def test_one_row_a_class_in_order(tmp_path):
    images = flat_images([-1.0, 0.0, 1.0, 0.5, -0.5])
    path = sample_grid(images, np.array([1, 0, 1, 0, 1]), tmp_path / "deep" / "grid.png", columns=2)
    picture = Image.open(path)
    assert cell(picture, 0, 0, 2) == (128, 128, 128)
    assert cell(picture, 0, 1, 2) == (191, 191, 191)
    assert cell(picture, 1, 0, 2) == (0, 0, 0)
    assert cell(picture, 1, 1, 2) == (255, 255, 255)
    assert picture.height == 2 * MARGIN + 2 * CELL + GAP
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


def test_a_short_row_stays_empty_at_its_end(tmp_path):
    path = sample_grid(flat_images([-1.0, -1.0, -1.0]), np.array([0, 0, 3]), tmp_path / "grid.png")
    assert cell(Image.open(path), 1, 1, 2) == BACKGROUND


def test_colours_are_kept(tmp_path):
    image = torch.tensor([1.0, 0.0, -1.0]).reshape(1, 3, 1, 1).expand(1, 3, 28, 28)
    path = sample_grid(image, np.array([0]), tmp_path / "grid.png")
    assert cell(Image.open(path), 0, 0, 1) == (255, 128, 0)


def test_names_and_title_make_room(tmp_path):
    images, labels = flat_images([0.0]), np.array([0])
    plain = Image.open(sample_grid(images, labels, tmp_path / "a.png"))
    named = Image.open(sample_grid(images, labels, tmp_path / "b.png", class_names=["Ankle boot"]))
    titled = Image.open(sample_grid(images, labels, tmp_path / "c.png", title="round 6"))
    assert named.width > plain.width
    assert titled.height > plain.height


def test_the_same_images_give_the_same_file(tmp_path):
    images, labels = torch.rand(20, 1, 28, 28), np.arange(20) % 5
    first = sample_grid(images, labels, tmp_path / "a.png", title="t").read_bytes()
    assert sample_grid(images, labels, tmp_path / "b.png", title="t").read_bytes() == first


def test_wrong_images_leave_no_file(tmp_path):
    with pytest.raises(DataError, match="scale them to"):
        sample_grid(flat_images([3.0]), np.array([0]), tmp_path / "grid.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("num_classes", "side", "num_rows"), [(10, 28, 10), (1200, 28, 33), (1200, 256, 10), (20, 64, 15)]
)
def test_no_picture_is_higher_than_a_screen(tmp_path, num_classes, side, num_rows):
    """1080 pixels less title and margins, over the side and a gap of 3; ten rows at least."""
    rows = rows_of_a_screen(num_classes, side)
    assert len(rows) == len(set(rows)) == num_rows
    assert rows == sorted(rows)
    assert rows[0] == 0
    assert rows[-1] >= num_classes - 1 - num_classes / num_rows
    images = torch.zeros(1, 1, side, side).expand(num_rows, 1, side, side)
    names = [f"class {number}" for number in range(num_classes)]
    picture = Image.open(sample_grid(images, np.array(rows), tmp_path / "a.png", names, title="t"))
    assert picture.height <= SCREEN_PIXELS or num_rows == 10
    assert of_classes(rows, num_classes) == ("" if num_classes == 10 else f" ({num_rows} of {num_classes:,} classes)")


def test_a_long_name_is_shortened(tmp_path):
    images, labels = flat_images([0.0]), np.array([0])
    sizes = [
        Image.open(sample_grid(images, labels, tmp_path / "a.png", class_names=["x" * n])).size for n in (40, 41, 4000)
    ]
    assert sizes[1] == sizes[2]
    assert sizes[2][0] < 600
