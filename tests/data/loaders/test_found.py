"""Folders and files as people have them: what is read is right, what is odd is said, what is ambiguous is asked.

Pixels and labels are worked out by hand beside each case.
"""

from __future__ import annotations

import gzip
import os
import re
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile

from raygan.config import Config
from raygan.config.loading import make_config
from raygan.config.schema import DataConfig, DomainConfig
from raygan.data import Arrays, load_domain, survey_domain
from raygan.data.loaders.images import Reading, decode_picture
from raygan.data.loaders.recordings import Hearing, decode_recording, log_mel_picture, mel_bands
from raygan.errors import ConfigError, DataError

RAMP = np.arange(64).reshape(8, 8)


def load(**domain: object) -> Arrays:
    return load_domain(DomainConfig.model_validate(domain), DataConfig())


def survey(**domain: object):
    return survey_domain(Config.model_validate({"data": {"domains": [{"clients": 1, **domain}]}}), 0)


def picture(path: Path, value: int = 0, size: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((size, size), value, np.uint8)).save(path, format="PNG")
    return path


def two_classes(root: Path, count: int = 6, names: tuple[str, ...] = ("ant", "bee")) -> Path:
    for number, name in enumerate(names):
        for index in range(count):
            picture(root / name / f"{index}.png", 10 * number + index)
    return root


def png(path: Path, values: np.ndarray, depth: int) -> None:
    """A PNG of grey (H, W), grey with alpha (H, W, 2), RGB or RGBA, written by hand."""
    colour = {2: 0, 3: {2: 4, 3: 2, 4: 6}[values.shape[2]] if values.ndim == 3 else 0}[values.ndim]
    rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in values)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *values.shape[1::-1], depth, colour, 0, 0, 0))]
    chunks += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    content = b"".join(struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in chunks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


@pytest.mark.parametrize(
    ("values", "pixel_range", "expected"),
    [
        (np.float32(RAMP / 63), None, RAMP / 63 * 255),
        (np.float32(RAMP * 100 - 1000), (-1000, 5300), RAMP / 63 * 255),  # such as Hounsfield units
        (np.uint16(RAMP * 1040), None, RAMP * 1040 // 256),
        (np.uint16(RAMP * 65), (0, 4095), RAMP * 65 / 4095 * 255),
        (np.int32(RAMP * 10_000_000), (0, 630_000_000), RAMP / 63 * 255),
        (np.uint8(RAMP > 9), (0, 1), (RAMP > 9) * 255),
    ],
)
def test_a_pictures_depth_is_honoured(tmp_path, values, pixel_range, expected):
    path = tmp_path / "a.tif"
    Image.fromarray(values).save(path)
    pixels = decode_picture(path, Reading(pixel_range=pixel_range)).pixels
    assert pixels.tolist() == np.rint(expected).astype(int).tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            np.float32(RAMP),
            "floating-point grey pixels from 0 to 63, of which nobody knows .*; give its domain pixel_r",
        ),
        (np.int32(RAMP * 4), "32-bit grey pixels from 0 to 252, of which"),
        (np.float32(np.where(RAMP == 5, np.nan, 0)), "pixels that are not finite numbers"),
        (
            np.uint16(RAMP * 65),
            r"16-bit grey pictures, none of .* above 4095; give its domain pixel_range: \[0, 4095\]",
        ),
        (np.uint16(RAMP * 16), r"none of whose values is above 1008; give its domain pixel_range: \[0, 1023\], or"),
    ],
)
def test_pixels_without_a_known_range_are_asked_about(tmp_path, values, message):
    for index in range(2):
        (tmp_path / "ant").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "ant" / f"{index}.tif")
    with pytest.raises(DataError, match=message) as caught:
        survey(images=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_sixteen_bits_in_colour_that_use_twelve_are_refused(tmp_path):
    (tmp_path / "ant").mkdir()
    for index in range(2):
        png(tmp_path / "ant" / f"{index}.png", np.stack([RAMP * 60] * 3, axis=2), 16)
    with pytest.raises(
        DataError, match=r"16-bit RGB, of which .* none of whose values is above 3584; make 8-bit pictures"
    ):
        survey(images=str(tmp_path))


@pytest.mark.parametrize(
    ("background", "ink", "expected"),
    [
        (255, 0, {0: 255, 128: 127, 255: 0}),  # alpha -> 255 * (1 - alpha / 255)
        (0, 255, {0: 0, 128: 128, 255: 255}),
        (255, 200, {0: 255, 255: 200}),
    ],
)
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_ink_in_the_alpha_channel_is_seen(tmp_path, mode, background, ink, expected):
    alpha = np.resize(np.array(list(expected), np.uint8), (8, 8))
    layers = np.stack([np.full((8, 8), ink, np.uint8)] * (len(mode) - 1) + [alpha], axis=2)
    path = tmp_path / "a.png"
    Image.fromarray(layers, mode).save(path)
    one = decode_picture(path, Reading(background=background))
    plane = one.pixels if mode == "LA" else one.pixels[..., 1]
    assert {int(a): int(p) for a, p in zip(alpha.flat, plane.flat, strict=True)} == expected
    assert one.form == f"8-bit {'grey' if mode == 'LA' else 'RGB'}, transparent"


def test_hidden_colours_do_not_show(tmp_path):
    layers = np.dstack([np.uint8(RAMP), np.uint8(RAMP * 2), np.uint8(RAMP * 3), np.uint8(RAMP % 2 * 255)])
    Image.fromarray(layers).save(tmp_path / "a.png")
    Image.fromarray(np.uint8(RAMP)).save(tmp_path / "b.png", transparency=7)
    Image.fromarray(np.uint8(RAMP)).convert("P").save(tmp_path / "c.gif", transparency=7)
    seen = decode_picture(tmp_path / "a.png").pixels
    assert (seen[RAMP % 2 == 0] == 255).all()
    assert np.array_equal(seen[RAMP % 2 == 1], layers[RAMP % 2 == 1][:, :3])
    for name in ("b.png", "c.gif"):
        plane = decode_picture(tmp_path / name).pixels.reshape(8, 8, -1)[..., 0]
        assert np.array_equal(plane, np.where(RAMP == 7, 255, RAMP)), name


def test_white_ink_on_nothing_is_asked_about(tmp_path):
    (tmp_path / "ant").mkdir()
    layers = np.dstack([np.full((8, 8, 3), 255, np.uint8), np.uint8(RAMP * 4)])
    for index in range(3):
        Image.fromarray(layers).save(tmp_path / "ant" / f"{index}.png")
    with pytest.raises(
        DataError, match=r"its 3 transparent pictures are one colour .* value 255; give .* background: 0"
    ):
        survey(images=str(tmp_path))
    assert load(images=str(tmp_path), background=0).train_images[0, ..., 0].tolist() == (RAMP * 4).tolist()
    picture(tmp_path / "ant" / "seen.png")
    black = np.dstack([np.zeros((8, 8, 3), np.uint8), np.uint8(RAMP * 4)])
    Image.fromarray(black).save(tmp_path / "ant" / "black.png")
    assert survey(images=str(tmp_path)).found.notes[0] == "3 are one colour once they are laid over the background"


@pytest.mark.parametrize(
    "names",
    [
        ("train", "test"),
        ("Training", "Testing"),
        ("Train", "Test"),
        ("TRAIN", "val"),
        ("train", "valid"),
        ("training", "validation"),
    ],
)
def test_parts_by_their_usual_names(tmp_path, names):
    for part, count in zip(names, (4, 2), strict=True):
        two_classes(tmp_path / part, count)
    arrays = load(images=str(tmp_path))
    assert arrays.classes == ("ant", "bee")
    assert arrays.train_images[:, 0, 0].tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert arrays.test_images[:, 0, 0].tolist() == [0, 1, 10, 11]
    assert arrays.test_labels.tolist() == [0, 0, 1, 1]


def test_a_validation_part_beside_a_test_part_is_left_out(tmp_path):
    for part, count in (("train", 4), ("test", 2), ("val", 3), ("extra", 1)):
        two_classes(tmp_path / part, count)
    seen = survey(images=str(tmp_path))
    assert (seen.info.num_train, seen.info.num_test) == (8, 4)
    assert seen.found.skipped == "6 of val/, 1 folders beside train/"


def test_an_unlabelled_test_part_is_left_out_and_said(tmp_path):
    two_classes(tmp_path / "train")
    picture(tmp_path / "test" / "unknown.png")
    seen = survey(images=str(tmp_path))
    assert (seen.info.num_train, seen.info.num_test) == (10, 2)
    assert seen.found.notes == ("test/ has no class folders and is left out",)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["train/0.png", "test/1.png"], "no class folders in train/; make one folder a class in it"),
        (["test/ant/0.png", "val/ant/1.png"], "test/, val/ but no train/ in it; add train/"),
        (["train/ant/0.png", "Training/ant/0.png"], "both Training/ and train/ are in it; keep one"),
        (["ant/train/0.png", "bee/train/1.png"], r"the class 'ant' is itself divided \(train\); put the parts first"),
        (
            ["all/ant/0.png", "all/bee/1.png"],
            r"one class, 'all', whose folders \(ant, bee\) may be .*; give .*/all, or",
        ),
        (["0.png", "1.png"], "2 files, but no class folders in it; make one folder a class, or give csv: a table"),
        (["train/ant/0.png", "test/bee/1.png"], "the class 'bee' is in test/ but not in train/"),
    ],
)
def test_a_layout_that_may_be_meant_in_two_ways_is_asked_about(tmp_path, files, message):
    for file in files:
        picture(tmp_path / file)
    with pytest.raises(DataError, match=message):
        survey(images=str(tmp_path))


def test_one_class_may_be_meant_and_a_class_may_be_called_train(tmp_path):
    for index in range(4):
        picture(tmp_path / "a" / "all" / ("x", "y")[index % 2] / f"{index}.png", index)
        picture(tmp_path / "b" / ("bus", "train")[index % 2] / f"{index}.png", index)
    assert survey(images=str(tmp_path / "a"), classes=["all"]).info.classes == ("all",)
    assert survey(images=str(tmp_path / "b")).info.classes == ("bus", "train")


def test_what_is_no_picture_is_skipped_and_counted(tmp_path):
    root = two_classes(tmp_path / "root")
    for hidden in (".thumbnails/a.png", "__MACOSX/b.png", "._0.png"):
        picture(root / "ant" / hidden)
    picture(root / "__MACOSX" / "ant" / "0.png")
    picture(root / "loose.png")
    (root / "ant" / "notes.txt").write_text("x")
    os.mkfifo(root / "ant" / "pipe.png")
    (root / "bee" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    seen = survey(images=str(root))
    assert (seen.info.num_train, seen.info.num_test, seen.info.classes) == (10, 2, ("ant", "bee"))
    found = {part.partition(" ")[2]: int(part.partition(" ")[0]) for part in seen.found.skipped.split(", ")}
    assert found == {
        "hidden folders": 2,
        "hidden files": 1,
        "other files (.txt)": 1,
        "pipes or devices": 1,
        "broken links": 1,
        "outside of class folders": 1,
    }
    assert (seen.found.sizes, seen.found.forms) == ("8x8", "8-bit grey")


def test_sizes_depths_and_frames_are_said(tmp_path):
    two_classes(tmp_path)
    picture(tmp_path / "ant" / "z.png", size=20)
    frames = [Image.fromarray(np.full((8, 8), value, np.uint8)) for value in (9, 200)]
    frames[0].save(tmp_path / "bee" / "z.tif", save_all=True, append_images=frames[1:])
    found = survey(images=str(tmp_path)).found
    assert found.sizes == "8x8 to 20x20"
    assert found.notes == ("1 have several frames, of which the first is read",)
    assert decode_picture(tmp_path / "bee" / "z.tif").pixels.max() == 9


def test_an_empty_class_folder_is_a_class_without_images_here(tmp_path):
    two_classes(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / ".gitkeep").write_text("")
    seen = survey(images=str(tmp_path))
    assert (seen.info.classes, seen.info.class_counts) == (("ant", "bee", "cat"), (5, 5, 0))
    assert seen.found.notes == ("no images of 'cat'",)


def test_accents_are_the_same_however_they_are_written(tmp_path):
    two_classes(tmp_path, names=("abeille", "e\u0301tourneau"))
    assert load(images=str(tmp_path)).classes == ("abeille", "\u00e9tourneau")


def test_classes_are_as_the_configuration_has_them(tmp_path):
    two_classes(tmp_path)
    own, given = load(images=str(tmp_path)), load(images=str(tmp_path), classes=["cat", "bee", "ant"])
    assert own.train_labels.tolist() == [0] * 5 + [1] * 5
    assert given.train_labels.tolist() == [2] * 5 + [1] * 5
    assert given.classes == ("cat", "bee", "ant")
    assert np.array_equal(given.train_images, own.train_images)
    with pytest.raises(DataError, match=r"it has the class 'bee', and classes does not \(1 names\); add it to classes"):
        survey(images=str(tmp_path), classes=["ant"])


def labelled(tmp_path: Path, labels: list[int], **more: object) -> str:
    images = np.arange(len(labels), dtype=np.uint8)[:, None, None] * np.ones((8, 8), np.uint8)
    fields = {"train_images": images, "train_labels": np.array(labels), "test_images": images[:2]}
    path = tmp_path / "a.npz"
    np.savez(path, **{**fields, "test_labels": np.array(labels[:2]), **more})
    return str(path)


@pytest.mark.parametrize(
    ("labels", "classes", "expected", "notes"),
    [
        ([0, 1, 2, 0], "012", [0, 1, 2, 0], ["one image only of '1', '2'"]),
        ([1, 2, 3, 1], "123", [0, 1, 2, 0], ["labels run from 1: class '1' has the number 0", "one .* '2', '3'"]),
        ([3, 8, 3, 8], "012345678", [3, 8, 3, 8], ["no images of '0', '1', '2' and 4 more classes"]),
        ([0, 2, 0, 2], "012", [0, 2, 0, 2], ["no images of '1'"]),
    ],
)
def test_labels_without_names_are_called_by_their_numbers(tmp_path, labels, classes, expected, notes):
    path = labelled(tmp_path, labels)
    arrays, seen = load(npz=path), survey(npz=path)
    assert arrays.classes == seen.info.classes == tuple(classes)
    assert arrays.train_labels.tolist() == expected
    assert arrays.test_labels.tolist() == expected[:2]
    assert len(seen.found.notes) == len(notes)
    for found, pattern in zip(seen.found.notes, notes, strict=True):
        assert re.fullmatch(pattern, found)


@pytest.mark.parametrize("stray", [255, 1_000_000, 2**40])
def test_a_stray_label_is_refused(tmp_path, stray):
    message = rf"its 4 labels \(0, 1, 2, {stray}\) run up to {stray}, so most classes would have no image; mend"
    with pytest.raises(DataError, match=message):
        survey(npz=labelled(tmp_path, [0, 1, 2, 1, stray]))


def test_labels_by_number_are_named_by_the_configuration(tmp_path):
    path = labelled(tmp_path, [1, 2, 2, 1])
    assert load(npz=path, classes=["ant", "bee"]).train_labels.tolist() == [0, 1, 1, 0]
    assert load(npz=path, classes=[2, 1]).train_labels.tolist() == [1, 0, 0, 1]  # these are names


def test_medmnists_own_form_and_kerass_names(tmp_path):
    plain = load(npz=labelled(tmp_path, [0, 1, 1, 0]))
    part = plain.test_images
    column = {"train_labels": np.array([[0], [1], [1], [0]]), "test_labels": np.array([[0], [1]])}
    medmnist = labelled(tmp_path, [0, 1, 1, 0], **column, val_images=part, val_labels=np.array([[1], [1]]))
    assert survey(npz=medmnist).found.notes == ("its validation part (2 images) is left out",)
    assert load(npz=medmnist).train_labels.tolist() == [0, 1, 1, 0]
    keras = {"x_train": plain.train_images, "y_train": plain.train_labels, "x_test": part, "y_test": np.array([0, 1])}
    np.savez(tmp_path / "keras.npz", **keras)
    for read in (load(npz=str(tmp_path / "keras.npz")), load(npz=medmnist)):
        assert np.array_equal(read.train_images, plain.train_images)
        assert read.test_labels.tolist() == [0, 1]
    digests = {survey(npz=path).info.digest for path in (medmnist, str(tmp_path / "keras.npz"))}
    assert len(digests) == 1
    validated = {"train_images": plain.train_images, "train_labels": plain.train_labels, "val_images": part}
    np.savez(tmp_path / "val.npz", **validated, val_labels=np.array([0, 1]))
    assert load(npz=str(tmp_path / "val.npz")).test_labels.tolist() == [0, 1]
    assert survey(npz=str(tmp_path / "val.npz")).found.notes == ("its validation part is used for testing",)


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes() + array.tobytes()


def test_idx_files_are_read(tmp_path):
    images, labels = np.uint8(RAMP.reshape(1, 8, 8) + np.arange(4)[:, None, None]), np.uint8([1, 0, 1, 0])
    for name, array in (("train", 4), ("t10k", 2)):
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images[:array])))
        (tmp_path / f"{name}-labels.idx1-ubyte").write_bytes(idx(labels[:array]))
    arrays = load(images=str(tmp_path))
    assert np.array_equal(arrays.train_images, images)
    assert (arrays.train_labels.tolist(), arrays.test_labels.tolist()) == ([1, 0, 1, 0], [1, 0])
    (tmp_path / "train-labels.idx1-ubyte").write_bytes(idx(labels)[:-1])
    with pytest.raises(DataError, match=r"train-labels.idx1-ubyte: not a whole idx file of uint8"):
        survey(images=str(tmp_path))
    with pytest.raises(DataError, match=r"an idx file; give the folder of the set's four idx files as images:"):
        survey(npz=str(tmp_path / "t10k-labels.idx1-ubyte"))


@pytest.mark.parametrize("kind", ["images", "wav", "npz"])
def test_a_git_lfs_pointer_is_named_as_such(tmp_path, kind):
    content = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
    name = {"images": "a.png", "wav": "a.wav", "npz": "a.npz"}[kind]
    for folder in ("ant", "bee"):
        (tmp_path / folder).mkdir()
        for index in "xyz":
            (tmp_path / folder / (index + name)).write_text(content)
    place = tmp_path / "ant" / "xa.npz" if kind == "npz" else tmp_path
    with pytest.raises(DataError, match="a Git LFS pointer, not the file itself; fetch it with: git lfs pull"):
        survey(**{kind: str(place)})


def tone(hz: float, rate: int = 8000, seconds: float = 0.5) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.float32([0, np.inf, 1] * 1000), "samples that are not finite numbers"),
        (np.float32([0, np.nan, 1] * 1000), "samples that are not finite numbers"),
    ],
)
def test_samples_that_are_no_numbers(tmp_path, samples, message):
    wavfile.write(tmp_path / "a.wav", 8000, samples)
    with pytest.raises(DataError, match=message):
        decode_recording(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [0, 2**31 - 1])
def test_a_sample_rate_that_cannot_be(tmp_path, rate):
    wavfile.write(tmp_path / "a.wav", 8000, np.int16(tone(500) * 9000))
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[24:32] = struct.pack("<II", rate, 2 * rate)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(DataError, match=rf"a.wav: a sample rate of {rate:,} Hz; mend or remove it"):
        decode_recording(tmp_path / "a.wav")


@pytest.mark.parametrize("keep", [0.5, 0.999])
def test_a_recording_that_is_cut_off_is_refused(tmp_path, keep):
    wavfile.write(tmp_path / "a.wav", 8000, np.int16(tone(500) * 9000))
    content = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "b.wav").write_bytes(content[: int(keep * len(content))])
    with pytest.raises(DataError, match=r"b.wav: not a readable recording .cut off"):
        decode_recording(tmp_path / "b.wav")
    unknown = b"RIFF" + b"\xff" * 4 + content[8:40] + b"\xff" * 4 + content[44:]  # as a pipe's end writes it
    (tmp_path / "c.wav").write_bytes(unknown)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = decode_recording(tmp_path / "a.wav").pixels
    assert np.array_equal(decode_recording(tmp_path / "c.wav").pixels, whole)


def test_what_is_above_four_kilohertz_can_be_heard(tmp_path):
    """A tone of 6 kHz: silence at 8 kHz, one bright row of 28 between 60 and 8,000 Hz."""
    wavfile.write(tmp_path / "a.wav", 22050, np.int16((tone(6000, 22050) + 0.01 * tone(500, 22050)) * 9000))
    hearing = Hearing(16000, (60.0, 8000.0))
    corners = np.linspace(2595 * np.log10(1 + 60 / 700), 2595 * np.log10(1 + 8000 / 700), 30)
    row = 27 - (int(np.abs(700 * (10 ** (corners / 2595) - 1) - 6000).argmin()) - 1)
    heard, not_heard = decode_recording(tmp_path / "a.wav", hearing).pixels, decode_recording(tmp_path / "a.wav").pixels
    assert heard[:, 14].argmax() == row
    assert not_heard[:, 14].argmax() > 15  # of the lower tone only
    assert mel_bands(hearing).shape == (28, 513)
    assert log_mel_picture(tone(500, 16000), hearing).shape == (28, 28)


def test_recordings_say_what_they_are(tmp_path):
    for name, hz in (("no", 300), ("yes", 900)):
        (tmp_path / name).mkdir()
        for index in range(3):
            wavfile.write(tmp_path / name / f"{index}.wav", 16000, np.int16(tone(hz, 16000) * 9000))
    found = survey(wav=str(tmp_path)).found
    assert found.forms == "16,000 Hz, 16-bit, 1 channel"
    assert found.notes == ("6 are recorded up to 8,000 Hz, of which what is above 4,000 Hz is not heard",)


def test_names_that_give_one_class_are_asked_about(tmp_path):
    for index in range(4):
        wavfile.write(tmp_path / f"take_ann_{index}.wav", 8000, np.int16(tone(500) * 9000))
    with pytest.raises(
        DataError, match=r"all 4 names begin with 'take', which may not be .*, or give classes: \[take\]"
    ):
        survey(wav=str(tmp_path))
    assert survey(wav=str(tmp_path), classes=["take"]).info.classes == ("take",)


def write_table(root: Path, header: str, rows: list[str]) -> str:
    (root / "labels.csv").write_text("\n".join([header, *rows]) + "\n")
    return str(root / "labels.csv")


@pytest.mark.parametrize(
    ("header", "row", "columns"),
    [
        ("image_id,dx", "{name},{label}", {}),
        ("label,file", "{label},{name}.png", {}),
        ("age,id,dx", "50,sub/{name},{label}", {"label_column": "dx"}),
    ],
)
def test_labels_from_a_table(tmp_path, header, row, columns):
    rows = []
    for index in range(12):
        picture(tmp_path / "flat" / "sub" / f"{index:03}.png", index)
        rows.append(row.format(name=f"{index:03}", label="nv" if index % 2 else "mel"))
    picture(tmp_path / "flat" / "unknown.png")
    table = write_table(tmp_path, header, [*rows, row.format(name="gone", label="nv")])
    domain = {"images": str(tmp_path / "flat"), "csv": {"file": table, **columns}}
    arrays, found = load(**domain), survey(**domain).found
    assert arrays.classes == ("mel", "nv")
    values = np.concatenate([arrays.train_images[:, 0, 0], arrays.test_images[:, 0, 0]])
    labels = np.concatenate([arrays.train_labels, arrays.test_labels])
    assert sorted(values.tolist()) == list(range(12))
    assert np.array_equal(labels, values % 2)
    assert found.skipped == "1 rows without a file, 1 files that the table does not name"


def test_a_table_may_say_the_part(tmp_path):
    rows = [f"{index},{index // 3},{('train', 'TEST', 'val')[index % 3]}" for index in range(6)]
    for index in range(6):
        picture(tmp_path / f"{index}.png", index)
    table = {"file": write_table(tmp_path, "id,y,split", rows), "label_column": "y", "part_column": "split"}
    arrays = load(images=str(tmp_path), csv=table)
    assert arrays.train_images[:, 0, 0].tolist() == [0, 3]
    assert arrays.test_images[:, 0, 0].tolist() == [1, 4]
    assert arrays.test_labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (["0,a", "0,b"], {}, "'0' is 'a' and 'b'; give each file one label"),
        (["7,a"], {}, "which of its columns .id, y. is the file cannot be told; give csv.file_column"),
        (["7,a"], {"file_column": "id"}, "names no file of .*; check csv.file_column"),
        (["0,a"], {"label_column": "yy"}, "no column 'yy'; did you mean 'y'"),
    ],
)
def test_a_table_that_does_not_fit(tmp_path, rows, columns, message):
    for index in range(2):
        picture(tmp_path / f"{index}.png")
    with pytest.raises(DataError, match=message):
        survey(images=str(tmp_path), csv={"file": write_table(tmp_path, "id,y", rows), **columns})


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ({"npz": "a", "background": 0}, r"data.domains.0: background beside npz; background belongs to images"),
        ({"images": "a", "sample_rate": 16000}, "sample_rate beside images; sample_rate belongs to wav"),
        ({"images": "a", "pixel_range": [5, 5]}, r"pixel_range \[5.0, 5.0\]; give black first, then the higher white"),
        ({"wav": "a", "mel_range": [60, 8000]}, r"mel_range \[60.0, 8000.0\] at a sample_rate of 8000; give the lower"),
        ({"npz": "a", "wav": "b"}, "sources npz and wav together"),
    ],
)
def test_keys_of_other_sources(domain, message):
    with pytest.raises(ConfigError, match=message):
        make_config({"data": {"domains": [domain]}})


def test_a_name_beside_a_source_is_what_the_domain_is_called(tmp_path):
    path = labelled(tmp_path, [0, 1, 0, 1])
    assert survey(npz=path, name="ward 7").holdings[0].domain == "ward 7"
    assert DomainConfig(npz=path, name="ward 7").source == ("npz", path)
