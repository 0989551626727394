"""Who listens to a run of Python's: a bar, TensorBoard, Ray Tune's logger callbacks."""

from __future__ import annotations

import contextlib
import io
import json
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.logger import JsonLoggerCallback, LoggerCallback
from tensorboardX.proto.event_pb2 import Event

import raygan
from raygan import api
from raygan.config.loading import make_config
from raygan.errors import InputError, RunError
from raygan.run.events import Listener
from raygan.storage import read_json_lines
from raygan.telemetry.bar import Bar
from raygan.telemetry.callbacks import RunCallback


class Lost(LoggerCallback):
    """Its server goes away after the first round."""

    def log_trial_result(self, iteration: int, trial: Any, result: dict) -> None:
        if iteration > 1:
            raise ConnectionError("no server\nany more")


@pytest.fixture(scope="module")
def heard(two_clients: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that everybody listens to, and what it wrote to standard error."""
    error = io.StringIO()
    with contextlib.redirect_stderr(error):
        run = raygan.train(
            make_config(two_clients),
            tmp_path_factory.mktemp("heard") / "run",
            in_process=True,
            tensorboard=True,
            callbacks=[JsonLoggerCallback(), Lost()],
        )
    return run.path, error.getvalue()


def events(folder: Path) -> list[tuple[str, int, Any]]:
    """Name, step and value of what TensorBoard's files in a folder hold (records: length, checksum, event, checksum)."""
    (file,) = folder.iterdir()
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        found += [(value.tag, event.step, value) for value in event.summary.value]
        content = content[16 + length :]
    return found


def test_tensorboard_has_every_steps_losses(heard: tuple[Path, str]) -> None:
    lines = read_json_lines(heard[0] / "metrics.jsonl")
    found = events(heard[0] / "tensorboard" / "steps")
    steps = [step for tag, step, _ in found if tag == "generator_loss"]
    assert steps == list(range(sum(line["steps"] for line in lines)))
    first = [v.simple_value for tag, s, v in found if tag == "discriminator_loss" and s < lines[0]["steps"]]
    assert sum(first) / len(first) == pytest.approx(lines[0]["discriminator_loss"], rel=1e-5)


def test_tensorboard_has_every_rounds_scores_and_pictures(heard: tuple[Path, str]) -> None:
    found = events(heard[0] / "tensorboard" / "rounds")
    for line in read_json_lines(heard[0] / "metrics.jsonl"):
        values = {tag: value for tag, step, value in found if step == line["round"]}
        for domain, scores in line["scores"].items():
            shown = values[f"{domain}/label_agreement"].simple_value
            assert shown == pytest.approx(scores["label_agreement"], rel=1e-6)
        drawn = {tag for tag, value in values.items() if value.HasField("image")}
        assert drawn == {f"samples/{Path(name).stem.split('-', 2)[2]}" for name in line["samples"]}


def test_a_logger_of_rays_takes_the_run_for_a_trial(heard: tuple[Path, str]) -> None:
    path, _ = heard
    reported = read_json_lines(path / "result.json")
    lines = read_json_lines(path / "metrics.jsonl")
    assert [line["training_iteration"] for line in reported] == [1, 2, 3]
    for found, line in zip(reported, lines, strict=True):
        assert found["domain0/label_agreement"] == line["scores"]["domain0"]["label_agreement"]
    assert json.loads((path / "params.json").read_text())["training"]["rounds"] == 3


def test_the_bar_shows_rounds_losses_and_scores(heard: tuple[Path, str]) -> None:
    _, error = heard
    assert "round 1/3" in error
    assert "100%" in error
    assert "D " in error


def test_the_bar_says_where_ray_shows_the_run(two_clients: dict, capsys: pytest.CaptureFixture[str]) -> None:
    bar = Bar()
    bar.on_start(SimpleNamespace(config=make_config(two_clients)), 4, 0, "http://127.0.0.1:8265")
    bar.on_end()
    assert "http://127.0.0.1:8265 (where it asks for a token: ray get-auth-token)\n" in capsys.readouterr().err


def test_a_callback_that_fails_is_told_and_the_run_goes_on(heard: tuple[Path, str]) -> None:
    assert heard[1].count("warning: Lost failed: no server") == 2
    assert "any more" not in heard[1]


def test_a_callback_that_cannot_begin_is_one_line(tmp_path: Path, two_clients: dict) -> None:
    class Refuses(LoggerCallback):
        def log_trial_start(self, trial: Any) -> None:
            raise ValueError("no account")

    with pytest.raises(InputError, match=r"Refuses: cannot begin .no account.; mend its arguments"):
        raygan.train(make_config(two_clients), tmp_path / "run", in_process=True, callbacks=[Refuses()])


def test_a_stopped_run_is_a_failed_trial() -> None:
    ends = []

    class Ends(LoggerCallback):
        def log_trial_end(self, trial: Any, failed: bool = False) -> None:
            ends.append(failed)

    callback = RunCallback(Ends(), Path("run"), print)
    callback.on_end()
    assert ends == [], "it never began"
    callback._trial, callback._rounds, callback._done = object(), 3, 2
    callback.on_end()
    callback._done = 3
    callback.on_end()
    assert ends == [True, False]


def test_the_bar_is_for_those_who_did_not_silence_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def refused(*given: object) -> None:
        raise RunError("here", "found", "mend")

    monkeypatch.setattr(api, "Bar", lambda: made.append(1) or Listener())
    monkeypatch.setattr(api, "planned", refused)
    for number, given in enumerate([{"progress": False}, {"listener": Listener()}, {}]):
        with pytest.raises(RunError):
            raygan.train(raygan.Config(), tmp_path / str(number), **given)
        assert len(made) == (number == 2)
