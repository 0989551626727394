"""A run that begins where another one was: the other's rounds, then its own configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.api import Run, resume, train
from raygan.config.loading import make_config
from raygan.errors import RunError
from raygan.run.engine import Engine
from raygan.run.events import Listener
from raygan.run.folder import fork
from raygan.storage import read_arrays


@pytest.fixture(scope="module")
def settings(tiny_settings: dict) -> dict:
    return tiny_settings | {"training": tiny_settings["training"] | {"rounds": 3}}


@pytest.fixture(scope="module")
def whole(settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(make_config(settings), tmp_path_factory.mktemp("whole") / "run", in_process=True).path


def last_arrays(path: Path) -> dict[str, bytes]:
    files = sorted((path / "checkpoints" / "round-0003").glob("*.safetensors"))
    return {f"{f.name}/{k}": a.tobytes() for f in files for k, a in read_arrays(f).items()}


def with_lr(settings: dict, lr: float) -> dict:
    return settings | {"training": settings["training"] | {"lr": lr}}


def test_a_fork_with_the_same_configuration_is_the_same_run(settings, whole: Path, tmp_path: Path) -> None:
    fork(whole, 2, make_config(settings), tmp_path / "fork")
    run = resume(tmp_path / "fork", in_process=True)
    assert last_arrays(run.path) == last_arrays(whole)
    assert run.metrics["round"].tolist() == [1, 2, 3]


def test_the_rounds_from_then_on_follow_the_new_configuration(settings, whole: Path, tmp_path: Path) -> None:
    fork(whole, 2, make_config(with_lr(settings, 1e-9)), tmp_path / "fork")
    run = resume(tmp_path / "fork", in_process=True)
    before = read_arrays(whole / "checkpoints" / "round-0002" / "cluster-0.safetensors")
    after = read_arrays(run.path / "checkpoints" / "round-0003" / "cluster-0.safetensors")
    weights = [name for name in before if name.endswith("weight")]
    moved = max(abs(after[name] - before[name]).max() for name in weights)
    assert 0 <= moved < 1e-2, "averages move, three steps of 1e-9 do not"
    assert last_arrays(run.path) != last_arrays(whole)
    assert run.metrics["discriminator_loss"][:2].tolist() == Run.load(whole).metrics["discriminator_loss"][:2].tolist()


def test_restored_optimizers_have_the_new_rate_and_the_old_moments(
    settings, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engines: list[Engine] = []
    create = Engine.__init__

    def remember(self: Engine, *args) -> None:
        create(self, *args)
        engines.append(self)

    class Look(Listener):
        def on_step(self, round_number, step, losses, num_images) -> None:
            if not seen:
                seen.extend(optimizers(engines[0]))

    seen: list[tuple[float, float]] = []
    monkeypatch.setattr(Engine, "__init__", remember)
    fork(whole, 2, make_config(with_lr(settings, 3e-3)), tmp_path / "fork")
    resume(tmp_path / "fork", in_process=True, listener=Look())
    assert {rate for rate, _ in seen} == {3e-3}
    assert min(steps for _, steps in seen) > 6, "two rounds of three steps were before"


def optimizers(engine: Engine) -> list[tuple[float, float]]:
    """(learning rate, steps so far) of every optimizer of the first client worker."""
    clients = engine._backend.workers[0]._party._clients.values()
    return [
        (ends.optimizer.param_groups[0]["lr"], float(next(iter(ends.optimizer.state.values()))["step"]))
        for client in clients
        for ends in (client.generator, client.discriminator)
    ]


def test_the_other_run_is_left_as_it_is(settings, whole: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    fork(whole, 1, make_config(with_lr(settings, 1e-3)), tmp_path / "fork")
    resume(tmp_path / "fork", in_process=True)
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before


def test_what_an_interrupted_fork_left_is_made_anew(settings, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "fork" / "checkpoints" / "round-0002").mkdir(parents=True)
    fork(whole, 2, make_config(settings), tmp_path / "fork")
    assert last_arrays(resume(tmp_path / "fork", in_process=True).path) == last_arrays(whole)


def test_a_round_without_a_checkpoint(settings, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no whole checkpoint of round 9"):
        fork(whole, 9, make_config(settings), tmp_path / "fork")
    assert not (tmp_path / "fork").exists()
