"""Rounds 1 to 4 equal rounds 1 to 2, an interruption, and rounds 3 to 4."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.cuts import planner
from raygan.errors import RunError
from raygan.run import folder
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.runtime.limits import LIMITS
from tests.checkpoint_files import checkpoint_states
from tests.rounds import rounds_of


class Interrupt(Listener):
    """Ends the driver in the middle of a round, as Ctrl-C does."""

    def __init__(self, round_number: int, step: int) -> None:
        self._when = (round_number, step)
        self.first_round = -1
        self.faults: list[str] = []

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def on_start(self, plan, num_steps, first_round, dashboard) -> None:
        self.first_round = first_round

    def on_step(self, round_number, step, losses, num_images) -> None:
        if (round_number, step) == self._when:
            raise KeyboardInterrupt


def final_arrays(path: Path) -> dict[str, bytes]:
    return arrays_of_round(path, 4)


def arrays_of_round(path: Path, number: int) -> dict[str, bytes]:
    """Every array of a checkpoint, by who has it and name."""
    states = checkpoint_states(path / "checkpoints" / f"round-{number:04d}")
    assert states
    return {name: array.tobytes() for name, array in states.items()}


@pytest.fixture(scope="module")
def four_rounds(tiny_settings: dict) -> dict:
    """With a moving average of G's weights."""
    return tiny_settings | {"training": tiny_settings["training"] | {"rounds": 4, "average": {"half_life_images": 40}}}


@pytest.fixture(scope="module")
def whole(four_rounds: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(make_config(four_rounds), tmp_path_factory.mktemp("whole") / "run", in_process=True).path


def interrupted(settings: dict, path: Path, round_number: int = 2) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(make_config(settings), path, in_process=True, listener=Interrupt(round_number, 1))
    return path


def test_a_resumed_run_is_the_run_that_was_not_interrupted(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    path = interrupted(four_rounds, tmp_path / "run")
    watcher = Interrupt(-1, 0)
    run = resume(path, in_process=True, listener=watcher)
    assert watcher.first_round == 2
    assert final_arrays(path) == final_arrays(whole)
    assert rounds_of(path) == rounds_of(whole)
    assert run.ended


def test_other_networks_with_spectral_norm_go_on_as_well(four_rounds: dict, tmp_path: Path) -> None:
    """Five blocks, D's label in its last, and what a power iteration has come to."""
    model = {"networks": "residual", "spectral_norm": True, "width": 0.0625, "image_size": 16, "latent_size": 8}
    changed = {"model": model, "cuts": {"solver": "exact"}, "training": four_rounds["training"] | {"rounds": 2}}
    settings = four_rounds | changed
    calm = train(make_config(settings), tmp_path / "calm", in_process=True).path
    path = interrupted(settings, tmp_path / "run", 1)
    resume(path, in_process=True)
    mine, theirs = arrays_of_round(path, 2), arrays_of_round(calm, 2)
    assert any(name.endswith("._u") for name in mine)
    assert mine == theirs


def test_other_actors_read_what_these_have_written(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    """Clients are dealt anew: those of three files become actors of one client each."""
    packed = four_rounds | {"ray": four_rounds["ray"] | {"clients_per_actor": 2}}
    path = interrupted(packed, tmp_path / "run")
    kept = path / "checkpoints" / "round-0002"
    assert len(list(kept.glob("clients-*"))) == 3
    text = (path / "config.yaml").read_text()
    assert text.count("clients_per_actor: 2") == 1
    (path / "config.yaml").write_text(text.replace("clients_per_actor: 2", "clients_per_actor: 1"))
    resume(path, in_process=True)
    assert len(list(kept.with_name("round-0004").glob("clients-*"))) == 6
    assert final_arrays(path) == final_arrays(whole)


def test_a_run_interrupted_in_process_goes_on_as_actors(
    small_ray: None, four_rounds: dict, whole: Path, tmp_path: Path
) -> None:
    path = interrupted(four_rounds, tmp_path / "run")
    resume(path)
    assert final_arrays(path) == final_arrays(whole)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    path = interrupted(four_rounds, tmp_path / "run")
    damaged = path / "checkpoints" / "round-0002" / "body.safetensors"
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(bytes(content))
    watcher = Interrupt(-1, 0)
    resume(path, in_process=True, listener=watcher)
    assert watcher.first_round == 1
    assert final_arrays(path) == final_arrays(whole)


def test_rounds_after_the_last_checkpoint_are_run_again(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    settings = four_rounds | {"checkpoints": {"every": 2, "keep": 1}}
    path = interrupted(settings, tmp_path / "run", round_number=3)
    assert len((path / "metrics.jsonl").read_text().splitlines()) == 3
    watcher = Interrupt(-1, 0)
    resume(path, in_process=True, listener=watcher)
    assert watcher.first_round == 2
    assert final_arrays(path) == final_arrays(whole)
    assert rounds_of(path) == rounds_of(whole)


@pytest.mark.parametrize("name", ["metrics.jsonl", "clusters.jsonl"])
def test_a_damaged_line_costs_the_rounds_from_there_on(
    four_rounds: dict, whole: Path, tmp_path: Path, name: str
) -> None:
    path = interrupted(four_rounds, tmp_path / "run")
    first, *_ = (path / name).read_text().splitlines()
    (path / name).write_text(f"{first}\n{first[:40]}\n")
    watcher = Interrupt(-1, 0)
    resume(path, in_process=True, listener=watcher)
    assert watcher.first_round == 1
    told = [fault for fault in watcher.faults if not fault.startswith("round ")]  # those are of training
    assert told == [f"{name}, line 2 is damaged: the rounds from there on are run again"]
    assert final_arrays(path) == final_arrays(whole)


def test_a_checkpoint_that_was_being_written_is_not_there(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    path = interrupted(four_rounds, tmp_path / "run")
    last = path / "checkpoints" / "round-0002"
    last.rename(last.with_name(".round-0002.tmp"))  # as a kill before the renaming leaves it
    (path / "metrics.jsonl").open("a").write('{"round": 3, "sec')  # and a line that was cut off
    resume(path, in_process=True)
    assert final_arrays(path) == final_arrays(whole)
    assert rounds_of(path) == rounds_of(whole)


def test_a_run_interrupted_in_its_first_round_begins_again(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    path = interrupted(four_rounds, tmp_path / "run", round_number=0)
    resume(path, in_process=True)
    assert final_arrays(path) == final_arrays(whole)


def test_a_run_that_has_ended_is_left_alone(whole: Path) -> None:
    before = (whole / "summary.json").read_bytes()
    assert resume(whole, in_process=True).ended
    assert (whole / "summary.json").read_bytes() == before


def test_two_processes_do_not_train_one_run(
    tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "LIMITS", replace(LIMITS, ending_s=0.2))
    path = interrupted(tiny_settings, tmp_path / "run", 1)
    with RunFolder(path).locked(), pytest.raises(RunError, match="another process is training this run"):
        resume(path, in_process=True)
    assert resume(path, in_process=True).ended


def test_a_run_goes_on_with_its_own_cuts(tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = interrupted(tiny_settings | {"cuts": {"solver": "exact"}}, tmp_path / "run", 1)
    bound_of, asked = planner.solve, []
    monkeypatch.setattr(planner, "solve", lambda *a, **k: asked.append(k["relaxed"]) or bound_of(*a, **k))
    assert resume(path, in_process=True).ended
    assert asked
    assert all(asked), "the solver was asked again, for more than the bound"
