from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raygan.config import Config
from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import client_slices, describe_domain, load_client, load_domain
from raygan.errors import DataError

RNG = np.random.default_rng(0)
COUNTS = {"ant": 12, "bee": 6}


def write_folder(root: Path, counts: dict[str, int] = COUNTS, form: tuple[int, ...] = (12, 12)) -> None:
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for index in range(count):
            pixels = RNG.integers(0, 256, form, dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{index:02}.png")


def load(root: Path, image_size: int | None = None):
    return load_domain(DomainConfig(images=str(root)), DataConfig(), image_size)


def describe(root: Path):
    return describe_domain(DomainConfig(images=str(root)), DataConfig())


def test_a_sixth_of_each_class_is_held_out_the_same_every_time(tmp_path):
    write_folder(tmp_path / "a", {"ant": 24, "bee": 12})
    first, again = load(tmp_path / "a"), load(tmp_path / "a")
    assert first.classes == ("ant", "bee")
    assert np.bincount(first.train_labels).tolist() == [20, 10]
    assert np.bincount(first.test_labels).tolist() == [4, 2]
    assert np.array_equal(first.test_images, again.test_images)
    everything = sorted(p.tobytes() for p in (*first.train_images, *first.test_images))
    files = sorted(np.asarray(Image.open(path)).tobytes() for path in (tmp_path / "a").rglob("*.png"))
    assert everything == files


def test_train_and_test_folders_are_kept_apart(tmp_path):
    write_folder(tmp_path / "train", form=(12, 12, 3))
    write_folder(tmp_path / "test", {"bee": 3}, form=(12, 12, 3))
    info = describe(tmp_path)
    assert (info.num_train, info.num_test, info.channels, info.image_size) == (18, 3, 3, (12, 12))
    assert load(tmp_path).test_labels.tolist() == [1, 1, 1]


def test_pixels_are_the_files(tmp_path):
    write_folder(tmp_path, {"ant": 2})
    arrays = load(tmp_path)
    files = {np.asarray(Image.open(path)).tobytes() for path in tmp_path.rglob("*.png")}
    assert {arrays.train_images[0].tobytes(), arrays.test_images[0].tobytes()} == files


def test_one_picture_in_colour_makes_the_domain_colour(tmp_path):
    write_folder(tmp_path)
    Image.fromarray(np.full((12, 12, 3), 9, np.uint8)).save(tmp_path / "ant" / "zz.png")
    assert describe(tmp_path).channels == 3
    assert load(tmp_path).train_images.shape[3] == 3


def test_pictures_of_any_size_are_brought_to_the_runs(tmp_path):
    write_folder(tmp_path)
    Image.fromarray(np.full((40, 20), 9, np.uint8)).save(tmp_path / "bee" / "zz.jpg")
    with pytest.raises(DataError, match=r"images of 2 sizes, such as \(12, 12\) and \(40, 20\) \(H, W\)"):
        load(tmp_path)
    assert load(tmp_path, 16).train_images.shape[1:] == (16, 16)
    config = Config.model_validate({"data": {"domains": [{"images": str(tmp_path), "clients": 2}]}})
    clients = [load_client(s) for s in client_slices(config, [describe(tmp_path)])]
    assert sum(map(len, clients)) == 16
    assert clients[0].images.shape[1:] == (1, 28, 28)


def test_a_client_reads_its_own_pictures_only(tmp_path, monkeypatch):
    write_folder(tmp_path)
    config = Config.model_validate({"data": {"domains": [{"images": str(tmp_path), "clients": 3}]}})
    description = client_slices(config, [describe(tmp_path)])[1]
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path: opened.append(path) or real(path))
    client = load_client(description)
    assert len(client) == len(opened) == 5  # of 18


def test_modes_of_pictures(tmp_path):
    folder = tmp_path / "ant"
    folder.mkdir()
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    Image.fromarray(grey.astype(np.uint16) * 256 + 7).save(folder / "a.png")  # 16 bits
    Image.fromarray(grey).convert("RGBA").save(folder / "b.png")
    Image.fromarray(grey > 30).save(folder / "c.png")  # 1 bit
    Image.fromarray(grey).convert("P").save(folder / "d.gif")
    arrays = load(tmp_path)
    pictures = sorted((*arrays.train_images, *arrays.test_images), key=lambda p: int(p.sum()))
    assert np.array_equal(pictures[0][..., 0], grey)
    assert np.array_equal(pictures[1][..., 1], grey)
    assert np.array_equal(pictures[3][..., 2], np.where(grey > 30, 255, 0))


def test_a_photograph_taken_sideways_stands_upright(tmp_path):
    (tmp_path / "ant").mkdir()
    pixels = np.zeros((8, 16), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it
    for name in "ab":
        Image.fromarray(pixels).save(tmp_path / "ant" / f"{name}.png", exif=exif)
    picture = load(tmp_path).train_images[0]
    assert picture.shape == (16, 8)
    assert picture[:4].min() == 255
    assert picture[4:].max() == 0


def test_other_files_and_hidden_folders_are_left_alone(tmp_path):
    write_folder(tmp_path)
    (tmp_path / ".cache").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "ant" / "notes.txt").write_text("x")
    (tmp_path / "ant" / "._00.png").write_text("x")
    assert describe(tmp_path).num_train == 15


def test_folders_that_are_no_domain(tmp_path):
    with pytest.raises(DataError, match="no such folder; give the path of a folder"):
        describe(tmp_path / "none")
    with pytest.raises(DataError, match="no class folders in it; make one folder a class"):
        describe(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="a file, not a folder"):
        describe(tmp_path / "file")
    write_folder(tmp_path / "one", {"ant": 1})
    with pytest.raises(DataError, match="no files for testing"):
        describe(tmp_path / "one")
    (tmp_path / "one" / "bee").mkdir()
    (tmp_path / "one" / "bee" / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"the class folder 'bee' holds no \.png"):
        load(tmp_path / "one")


def test_a_test_class_that_is_not_trained(tmp_path):
    write_folder(tmp_path / "train", {"ant": 2})
    write_folder(tmp_path / "test", {"bee": 2})
    with pytest.raises(DataError, match="the class 'bee' is in test/ but not in train/"):
        describe(tmp_path)


@pytest.mark.parametrize("keep", [0, 20, 0.6])
def test_a_broken_picture_is_named_before_any_actor_starts(tmp_path, keep):
    write_folder(tmp_path)
    path = tmp_path / "bee" / "03.png"
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    for read in (describe, load):
        with pytest.raises(DataError, match=r"bee/03.png: not a readable picture \(.*; mend or remove it"):
            read(tmp_path)
