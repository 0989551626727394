"""A new run that begins where another one was after some round, with a changed configuration."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from raygan.config.schema import Config
from raygan.errors import RunError
from raygan.run.checkpoints import Checkpoint
from raygan.run.folder import RunFolder
from raygan.run.forms import RECORD_FORMS
from raygan.storage import read_json_lines, write_bytes


def fork(source: str | Path, num_rounds: int, config: Config, out: str | Path) -> None:
    """Makes a run's folder that `resume` continues after round `num_rounds` of another run.

    What the rounds from then on follow is the new configuration; networks, optimizers' moments and the rounds before
    are the other run's. Only keys may differ from which nothing in a checkpoint has its shape: `training.lr`, not
    `model.width`.

    Args:
        source: the other run's folder; it may still be going on.
        out: a new folder; one that an interrupted call has left is made anew.

    Raises:
        RunError: the other run has no whole checkpoint of that round.
    """
    there, here = RunFolder(Path(source)), RunFolder(Path(out))
    kept, copy = (Checkpoint(folder.checkpoints, num_rounds - 1) for folder in (there, here))
    _check_whole(kept, source)
    if not here.config_file.exists():
        shutil.rmtree(here.path, ignore_errors=True)
    here.checkpoints.mkdir(parents=True)
    shutil.copytree(kept.path, copy.path)
    _check_whole(copy, source)
    for file in (there.metrics_file, *map(there.record_file, RECORD_FORMS)):
        if file.exists():
            lines = read_json_lines(file)[:num_rounds]
            write_bytes(here.path / file.name, "".join(json.dumps(line) + "\n" for line in lines).encode())
    here.create(config, there.documents(), there.infos())  # the configuration last: with it, this is a run


def _check_whole(checkpoint: Checkpoint, source: str | Path) -> None:
    damage = checkpoint.damage()
    if damage is None and checkpoint.manifest().whole:
        return
    found = f"no whole checkpoint of round {checkpoint.round + 1} ({damage or 'thinned out'})"
    raise RunError(str(source), found, "set checkpoints.keep: null, so that all are kept")
