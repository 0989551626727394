import json
import subprocess
import sys
from pathlib import Path

import pytest

from raygan.bench.against import PUBLISHED, MemoryOfTree, measured, sides
from raygan.bench.sides.ours import RoundClock
from raygan.bench.sides.work import Work
from raygan.errors import InputError

WORK = Work(clients=2, batch_size=8, width=0.25, steps=3, rounds=1)
MODELS = """
import yaml
from Cut_Selection import CutLayerSelection, modelCutter

def get_models(device):
    clients = yaml.safe_load(open("./configs.yaml"))["clients"]
    modelCutter.get_flops_and_outputs()
    cuts, latency = CutLayerSelection.get_best_cuts(*range(5))
    print(clients["num_digit_clients"], len(cuts))
    return [*range(12), {}, {}, [], cuts, [], latency]
"""
ALGORITHM = """
import time

def train_step(labels, g1, g2, g, d1, d2, d, og1, og2, og, od2, od1, od, images, device, cuts):
    assert (g1, g2, g, d1, d2, d, og1, og2, og, od1, od2, od) == tuple(range(12))
    assert [part.shape for part in images] == [(8, 1, 28, 28)] * 2
    time.sleep(0.1)
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the published code's files look like from outside."""
    folder = tmp_path / "checkout"
    (folder / "Cut_Selection").mkdir(parents=True)
    for name in ("CutLayerSelection", "modelCutter"):
        (folder / "Cut_Selection" / f"{name}.py").write_text("")
    (folder / "models.py").write_text(MODELS)
    (folder / "HuSCFGAN.py").write_text(ALGORITHM)
    (folder / "configs.yaml").write_text("clients: {num_digit_clients: 20}\ntraining: {batch_size: 64}\n")
    return folder


def test_a_published_step_is_timed_in_a_copy(checkout: Path) -> None:
    before = {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()}
    found = measured([PUBLISHED, str(checkout)], WORK)
    assert 100 < found["images_per_s"] <= 2 * 8 / 0.1
    assert found["memory_bytes"] > 50e6
    assert {path: path.read_bytes() for path in checkout.rglob("*") if path.is_file()} == before


def test_memory_is_that_of_children_too() -> None:
    holds = "import time; held = bytearray(b'x') * 150_000_000; time.sleep(2)"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {holds!r}])"
    with subprocess.Popen([sys.executable, "-c", starts]) as process:
        memory = MemoryOfTree(process.pid)
        process.wait()
        assert 150e6 < memory.most() < 250e6


def test_rounds_are_timed_from_the_second_to_the_last() -> None:
    clock = RoundClock()
    for round_number, images in ((1, (1, 2)), (2, (4, 8)), (3, (16, 32)), (4, (64,))):
        for step, num_images in enumerate(images):
            clock.on_step(round_number, step, (0.0, 0.0), num_images)
    assert clock.timed_images == 4 + 8 + 16 + 32
    assert clock.timed_s == clock.ends[3] - clock.ends[1]


def test_a_round_has_the_steps_that_are_asked_for() -> None:
    config = Work(clients=3, batch_size=8, width=0.5, steps=5, rounds=2).config(algorithm="fed_gan")
    assert [domain.clients for domain in config.data.domains] == [2, 1]
    assert (config.data.images_per_client, config.training.rounds, config.model.width) == (40, 4, 0.5)


@pytest.mark.parametrize(
    ("checkout_given", "flower", "line"),
    [(True, False, "has no HuSCFGAN.py"), (False, True, "is not installed"), (False, False, "nothing to compare with")],
)
def test_what_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkout_given: bool, flower: bool, line: str
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=line):
        sides(tmp_path if checkout_given else None, flower)


def test_a_side_that_fails_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{PUBLISHED}.*ended with status 1"):
        measured([PUBLISHED, str(tmp_path / "nowhere")], WORK)
    assert json.loads(WORK.text)["steps"] == 3
