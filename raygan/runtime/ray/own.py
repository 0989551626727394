"""A Ray of our own: what it is started with; on the loopback alone, its token for its owner's eyes, out of reach of
signals to our process group, and gone soon after its driver however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from typing import Any

import psutil  # Ray ships it
import ray
from ray._private import ray_constants, services
from ray._private.authentication import authentication_token_setup
from ray._private.authentication.authentication_token_generator import generate_new_authentication_token

from raygan.errors import ConfigError, InputError, first_line

AUTH_MODE = getattr(authentication_token_setup, "AUTH_MODE_ENV_VAR", "")
"""Empty before Ray 2.60, whose default is no token."""
OF_WORKERS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Environment of the actors. Threads that wait must sleep: actors share cores, and spinning made a step up to ten times
slower."""
OF_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_task_events_max_num_task_in_gcs": "4000",
}
"""Settings: it calls nobody, and its control process remembers a hundred steps' calls, not thousands of them (each is
several kB)."""
OF_DRIVER = {"RAY_IGNORE_UNHANDLED_ERRORS": "1"}
"""What goes wrong in an actor is told by the run, in one line and without a traceback."""
REAPER = Path(__file__).with_name("reaper.py")
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "error"}
"""Arguments of `ray.init` in every driver."""
TOKEN_VARIABLES = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
"""By which a user gives a token of their own."""


class _Apart(services.ConsolePopen):
    """A process in a session of its own: `kill -TERM -GROUP` and a terminal's signals are for the driver, which ends Ray
    once its round is saved."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options, start_new_session=True)


def start(needs: Mapping[str, float], namespace: str) -> None:
    """Starts it, with the resources that are needed beside what the machine has.

    Raises:
        ConfigError: it does not start.
        InputError: its token has no place.
    """
    for name, value in (OF_WORKERS | OF_RAY | OF_DRIVER).items():
        os.environ.setdefault(name, value)  # workers inherit it
    with starting():
        try:
            ray.init(
                "local",
                num_cpus=cpus_for(needs),
                resources=custom(needs),
                include_dashboard=True,
                namespace=namespace,
                **QUIET,
            )
        except Exception as error:  # Ray has no class for it
            found = f"Ray did not start on this machine ({first_line(error)})"
            raise ConfigError("ray", found, "try again when it has less to do, or train with --in-process") from None


def custom(needs: Mapping[str, float]) -> dict[str, float]:
    """Of what is needed, what Ray does not find out itself."""
    return {name: amount for name, amount in needs.items() if name not in ("CPU", "GPU", "memory")}


def cpus_for(needs: Mapping[str, float]) -> int:
    """The CPUs that it declares: the machine's, or more where more are needed."""
    return max(os.cpu_count() or 1, ceil(needs.get("CPU", 0)))


@contextmanager
def starting() -> Iterator[None]:
    """While Ray starts; afterwards this process may as well join a cluster.

    Raises:
        InputError: the token has no place.
    """
    _keep_token()
    before = ray_constants.ENABLE_RAY_CLUSTER, services.ConsolePopen
    # as Ray has it on macOS and Windows: its node is 127.0.0.1, and its servers listen there
    ray_constants.ENABLE_RAY_CLUSTER, services.ConsolePopen = False, _Apart  # type: ignore[misc]
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER, services.ConsolePopen = before  # type: ignore[misc]


@contextmanager
def reaped() -> Iterator[None]:
    """While Ray is there: what is left of it some seconds after the end of this process, or of the block, is killed.

    Ray's own processes end with their driver, but for two agents, which stayed for minutes after a SIGKILL.
    """
    mine = [f"{process.pid} {process.create_time()}" for process in psutil.Process().children(recursive=True)]
    command = [sys.executable, "-I", str(REAPER), *mine]
    reaper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield
    finally:
        assert reaper.stdin is not None
        reaper.stdin.close()


def _keep_token() -> None:
    """Makes Ray's token where there is none, and keeps others from reading it: Ray would write it for all to read."""
    asked = os.environ.get(AUTH_MODE, "token").lower() == "token"
    if not asked or any(name in os.environ for name in TOKEN_VARIABLES):
        return
    path = Path.home() / ".ray" / "auth_token"
    if path.exists():
        with suppress(OSError):  # it may be another's, who knows best
            path.chmod(0o600)
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(generate_new_authentication_token())
        with suppress(FileExistsError):  # somebody was faster: theirs is in use
            os.link(draft, path)
        draft.unlink()
    except OSError as error:
        found = f"Ray's token cannot be written there ({error.strerror})"
        raise InputError(str(path), found, "set HOME to a folder of yours, or train with --in-process") from None
