"""A run whose driver dies while it writes the third round's checkpoint.

`python -m tests.run.dying_driver CONFIG OUT HOW`; HOW is

    in_process      SIGKILL to itself when half of its clients' file is written
    driver    with actors: SIGKILL to itself when half of the manifest is written
    cluster   with actors: SIGKILL to all of its Ray and to itself when the first actor has written its file
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from raygan import packed, storage
from raygan.api import train
from raygan.config.loading import read_config
from raygan.run.checkpoints import Checkpoint
from tests.processes import descendants

DRAFT = ".round-0003.tmp"


def die_with_half_of(name: str) -> None:
    whole = storage.write_bytes

    def half(path: Path, content: bytes):
        if path.parent.name == DRAFT and path.name == name:
            with path.with_name(f".{name}.tmp").open("wb") as file:
                file.write(content[: len(content) // 2])
                file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        return whole(path, content)

    storage.write_bytes = half


def die_with_half_of_the_clients() -> None:
    whole = packed.replace_file

    def half(path: Path, content: Iterable[bytes | memoryview]) -> None:
        whole(path, deadly(list(content)) if path.parent.name == DRAFT else content)

    def deadly(parts: list[bytes | memoryview]) -> Iterator[bytes | memoryview]:
        yield from parts[: len(parts) // 2]
        os.kill(os.getpid(), signal.SIGKILL)

    packed.replace_file = half  # type: ignore[assignment]


def die_with_all_of_ray() -> None:
    begin = Checkpoint.begin

    def kill(draft: Path) -> None:
        while not list(draft.glob("*.safetensors")):
            time.sleep(0.001)
        for process in [*descendants(os.getpid()), os.getpid()]:
            os.kill(process, signal.SIGKILL)

    def watched(checkpoint: Checkpoint) -> str:
        draft = begin(checkpoint)
        if Path(draft).name == DRAFT:
            threading.Thread(target=kill, args=(Path(draft),), daemon=True).start()
        return draft

    Checkpoint.begin = watched  # type: ignore[method-assign]


if __name__ == "__main__":
    config, out, how = sys.argv[1:]
    if how == "cluster":
        die_with_all_of_ray()
    elif how == "in_process":
        die_with_half_of_the_clients()
    else:
        die_with_half_of("manifest.json")
    train(read_config(config), out, in_process=how == "in_process")
