"""A generator leaves raygan: what the file holds, who can load it, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import yaml
from safetensors import safe_open
from safetensors.torch import load_file

import raygan
from raygan.config.loading import make_config
from raygan.export import writing
from raygan.run.stored import Run
from tests.cli.command import command

FORMATS = {"torch": "pt2", "onnx": "onnx", "safetensors": "safetensors"}
LOADS_ALONE = """
import json, sys
import numpy, torch
sys.modules["raygan"] = None  # an import of it raises ImportError
extra = {"generator.json": ""}
program = torch.export.load(sys.argv[1], extra_files=extra)
given = numpy.load(sys.argv[2])
images = program.module()(torch.from_numpy(given["z"]), torch.from_numpy(given["labels"]))
numpy.savez(sys.argv[3], images=images.numpy(), classes=json.loads(extra["generator.json"])["classes"])
"""


@pytest.fixture(scope="module")
def files(kept: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Cluster 1 in every format."""
    folder = tmp_path_factory.mktemp("exported")
    found = {name: folder / f"generator.{suffix}" for name, suffix in FORMATS.items()}
    for name, path in found.items():
        done = command("export", kept, "--cluster", 1, "--format", name, "--out", path)
        assert (done.status, done.err) == (0, "")
        assert done.out == f"wrote {path} ({path.stat().st_size:,} bytes)\n"
    return found


def inputs(num_images: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(num_images, 8, generator=torch.Generator().manual_seed(3)), torch.arange(num_images) % 4


def card_in(path: Path) -> dict:
    if path.suffix == ".onnx":
        return json.loads({entry.key: entry.value for entry in onnx.load(path).metadata_props}["generator.json"])
    if path.suffix == ".safetensors":
        with safe_open(path, "pt") as file:
            return json.loads(file.metadata()["generator.json"])
    extra = {"generator.json": ""}
    torch.export.load(path, extra_files=extra)
    return json.loads(extra["generator.json"])


@pytest.mark.parametrize("num_images", [1, 7])
def test_the_module_gives_the_runs_images(kept: Path, num_images: int) -> None:
    generator = Run.load(kept).generators()[1]
    z, labels = inputs(num_images)
    images = generator.module()(z, labels)
    assert images.shape == (num_images, 1, 12, 12)
    drawn = torch.randn(num_images, 8, generator=torch.Generator().manual_seed(5))
    assert np.array_equal(generator.module()(drawn, labels).detach().numpy(), generator.sample(labels.numpy(), seed=5))


def test_the_module_is_its_owners(kept: Path) -> None:
    generator = Run.load(kept).generators()[1]
    before = generator.sample([0])
    module = generator.module()
    assert not module.training
    assert all(array.is_contiguous() for array in module.state_dict().values())
    assert all(parameter.requires_grad for name, parameter in module.named_parameters() if name.endswith("weight"))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    assert np.array_equal(generator.sample([0]), before)


def test_torchs_format_loads_where_there_is_no_raygan(kept: Path, files: dict[str, Path], tmp_path: Path) -> None:
    z, labels = inputs(9)
    np.savez(tmp_path / "in.npz", z=z.numpy(), labels=labels.numpy())
    arguments = [files["torch"], tmp_path / "in.npz", tmp_path / "out.npz"]
    subprocess.run([sys.executable, "-c", LOADS_ALONE, *map(str, arguments)], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "out.npz")
    expected = Run.load(kept).generators()[1].module()(z, labels).detach().numpy()
    assert np.array_equal(found["images"], expected)
    assert found["classes"].tolist() == ["c0", "c1", "c2", "c3"]


@pytest.mark.parametrize("num_images", [1, 500])
def test_onnx_runtime_gives_the_same_images(kept: Path, files: dict[str, Path], num_images: int) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(files["onnx"])
    z, labels = inputs(num_images)
    (images,) = session.run(["images"], {"z": z.numpy(), "labels": labels.numpy()})
    expected = Run.load(kept).generators()[1].module()(z, labels).detach().numpy()
    assert images.shape == (num_images, 1, 12, 12)
    assert np.abs(images - expected).max() <= 1e-5


def test_safetensors_hold_the_modules_state(kept: Path, files: dict[str, Path]) -> None:
    expected = Run.load(kept).generators()[1].module().state_dict()
    found = load_file(files["safetensors"])
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("name", FORMATS)
def test_every_file_says_what_it_is(kept: Path, files: dict[str, Path], name: str) -> None:
    card = card_in(files[name])
    document = json.dumps(Run.load(kept).config.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()
    assert card["config_sha256"] == hashlib.sha256(document).hexdigest()
    domains = {
        yaml.safe_load((kept / "config.yaml").read_text())["data"]["domains"][index]["npz"].rsplit("/", 1)[1][:-4]
        for index in Run.load(kept).domains_of(1, 2)
    }
    assert set(card["domains"]) == domains
    del card["config_sha256"], card["domains"], card["raygan"]
    assert card == {
        "version": 1,
        "run": "run",
        "model": "cluster 1",
        "round": 2,
        "weights": "last",
        "algorithm": "huscf",
        "classes": ["c0", "c1", "c2", "c3"],
        "num_classes": 4,
        "image_shape": [1, 12, 12],
        "value_range": [-1.0, 1.0],
        "latent_size": 8,
        "inputs": ["z", "labels"],
        "output": "images",
        "hearing": None,
        "width": 0.0625,
        "label_embedding_size": 10,
        "blocks": None,
        "networks": "paper",
    }


@pytest.mark.parametrize("name", FORMATS)
def test_an_exported_file_is_sampled_as_its_run(kept: Path, files: dict[str, Path], name: str, tmp_path: Path) -> None:
    trust = ("--trust",) if name == "torch" else ()
    chosen = ("--labels", "2,0", "--count", 3, "--seed", 4)
    done = command("sample", files[name], *chosen, "--out", tmp_path / "a.npz", *trust)
    assert (done.status, done.err) == (0, "")
    assert done.out == f"wrote {tmp_path / 'a.npz'}: 6 images of cluster 1 after round 2\n"
    assert command("sample", kept, "--cluster", 1, *chosen, "--out", tmp_path / "b.npz").status == 0
    found, expected = (np.load(tmp_path / file) for file in ("a.npz", "b.npz"))
    assert found["labels"].tolist() == expected["labels"].tolist()
    assert found["classes"].tolist() == expected["classes"].tolist()
    difference = np.abs(found["images"].astype(int) - expected["images"].astype(int)).max()
    assert difference <= (1 if name == "onnx" else 0)  # a rounding to the next byte


def test_a_name_by_default(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = command("export", kept, "--round", 1, "--format", "safetensors")
    assert done.out.startswith("wrote run-cluster-0.safetensors (")
    assert card_in(tmp_path / "run-cluster-0.safetensors")["round"] == 1


@pytest.fixture(scope="module")
def averaged(two_clients: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A round of a run that keeps an average of its weights."""
    training = {"rounds": 1, "batch_size": 8, "average": {"half_life_images": 20}}
    settings = two_clients | {"training": training, "algorithm": "local"}
    path = tmp_path_factory.mktemp("averaged") / "run"
    return raygan.train(make_config(settings), path, in_process=True, progress=False).path


@pytest.mark.parametrize(("options", "weights"), [((), "average"), (("--weights", "last"), "last")])
def test_the_weights_that_were_asked_for_leave_and_are_named(
    averaged: Path, tmp_path: Path, options: tuple, weights: str
) -> None:
    path = tmp_path / "g.safetensors"
    assert command("export", averaged, "--format", "safetensors", "--out", path, *options).status == 0
    assert card_in(path)["weights"] == weights
    run, found = Run.load(averaged), load_file(path)
    expected, other = (
        run.generator(0, 1, w).module().state_dict() for w in (weights, {"last": "average"}.get(weights, "last"))
    )
    assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert not all(torch.equal(found[name], tensor) for name, tensor in other.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--weights", "best"), "--weights: 'best'; give average or last"),
        (("--format", "h5"), "--format: 'h5'; give one of torch, onnx, safetensors"),
        (("--cluster", 7), "no cluster 7 in round 2; choose one of: 0, 1"),
        (("--round", 9), "there is no round 9; choose one of: 1, 2"),
        (("--out", "g.onnx"), "--out: 'g.onnx' with --format torch; end it in .pt2"),
    ],
)
def test_what_cannot_be_exported(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    command("export", kept, *arguments).assert_refused(message)
    assert not list(tmp_path.iterdir())


def test_an_export_is_written_whole_or_not_at_all(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "g.safetensors"
    out.write_bytes(b"before")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = command("export", kept, "--format", "safetensors", "--out", out)
    done.assert_refused("g.safetensors cannot be written (No space left on device)")
    assert out.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [out]


def test_onnx_that_differs_is_not_written(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "ONNX_TOLERANCE", -1.0)
    done = command("export", kept, "--format", "onnx", "--out", tmp_path / "g.onnx")
    done.assert_refused("--format onnx: ONNX Runtime's images differ by", "use --format torch or safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnxscript", "onnxruntime"])
def test_onnx_without_its_packages(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    done = command("export", kept, "--format", "onnx", "--out", tmp_path / "g.onnx")
    done.assert_refused(f"--format onnx: needs {missing}; pip install 'raygan[onnx]'")
    assert not list(tmp_path.iterdir())


def test_networks_that_no_graph_can_hold(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A branch on values of the user's own block."""

    def forward(block: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x

    monkeypatch.setattr(torch.nn.Tanh, "forward", forward)
    done = command("export", kept, "--out", tmp_path / "g.pt2")
    done.assert_refused("raygan export: these networks cannot be exported (", "use --format safetensors")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("torch", (), "torch reads this format by unpickling; give --trust if you know whose it is"),
        ("onnx", ("--round", 1), "given with --cluster, --round or --weights; leave them out"),
        ("safetensors", ("--cluster", 1), "given with --cluster, --round or --weights; leave them out"),
        ("safetensors", ("--labels", "4"), "--labels: no label 4; give labels from 0 to 3"),
    ],
)
def test_what_an_exported_file_does_not_give(files: dict[str, Path], name: str, arguments: tuple, message: str) -> None:
    command("sample", files[name], *arguments).assert_refused(message)


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_file_is_one_line(files: dict[str, Path], name: str, tmp_path: Path) -> None:
    cut = tmp_path / f"cut.{FORMATS[name]}"
    content = files[name].read_bytes()
    cut.write_bytes(content[: len(content) // 2])
    for path in (cut, tmp_path / f"nowhere.{FORMATS[name]}"):
        command("sample", path, "--trust").assert_refused(path.name, "cannot be read")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    command("sample", tmp_path / "notes.txt").assert_refused("neither a run's folder nor an exported generator")


def test_safetensors_of_somebody_else(files: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(1)}, path)
    command("sample", path).assert_refused("holds no raygan generator")
    card = card_in(files["safetensors"])
    save_file({"a": torch.zeros(1)}, path, metadata={"generator.json": json.dumps(card)})
    command("sample", path).assert_refused("its arrays are not those of its networks")
    save_file({"a": torch.zeros(1)}, path, metadata={"generator.json": json.dumps(card | {"latent_size": -1})})
    command("sample", path).assert_refused("its latent_size cannot be used")
    for key in ("blocks", "networks"):
        named = card | {key: "somebody.elses:networks"}
        save_file({"a": torch.zeros(1)}, path, metadata={"generator.json": json.dumps(named)})
        command("sample", path).assert_refused("code of their own (somebody.elses:networks)", "give --trust")
