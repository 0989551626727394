"""A Ray of our own that starts beside what a command does before it needs it: imports torch, and plans.

Ray's start is mostly waiting for one process after another, so that on two cores most of it costs no time then.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

import psutil  # Ray ships it
import ray

from raygan.config.devices import SERVER_RESOURCE
from raygan.config.loading import cluster_address
from raygan.config.schema import Config
from raygan.runtime.ray import own

ROUNDING = 5e-5
"""Ray counts resources in 10,000ths."""


class _Start:
    """A start under way."""

    def __init__(self, needs: Mapping[str, float]) -> None:
        self.needs = needs
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="Ray's start", daemon=True)

    def begin(self) -> None:
        """Begins it."""
        self._thread.start()

    def wait(self) -> None:
        """Returns when it is there; errors as `own.start`."""
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def has(self, needs: Mapping[str, float]) -> bool:
        """Whether what it declares is enough."""
        enough = own.cpus_for(needs) <= own.cpus_for(self.needs)
        asked = own.custom(needs).items()
        return enough and all(amount <= self.needs.get(name, 0) + ROUNDING for name, amount in asked)

    def _run(self) -> None:
        try:
            own.start(self.needs, "raygan")
        except BaseException as error:  # whoever waits is to have it
            self._error = error
        self._ended.set()
        threading.Event().wait()  # Ray has Linux kill its processes when the thread that started them ends


_pending: list[_Start] = []


def begin(config: Config) -> None:
    """Starts Ray in a thread, if the run will have one of our own, and what that must declare is known by now."""
    needs = known_needs(config)
    if needs is not None and not ray.is_initialized() and not _pending:
        start = _Start(needs)
        _pending.append(start)
        atexit.register(leave)
        start.begin()


def is_pending() -> bool:
    """Whether one has been begun that nobody has taken."""
    return bool(_pending)


def taken(needs: Mapping[str, float]) -> bool:
    """Whether there is one that was begun ahead, once it is there; it is the caller's then. One that lacks something is
    ended.

    Raises:
        InputError: it could not start; as `own.start`.
    """
    if not _pending:
        return False
    start = _pending[0]
    try:
        start.wait()
    except Exception:
        _pending.clear()
        raise
    _pending.clear()
    if not start.has(needs):
        ray.shutdown()
        return False
    return True


def leave(status: int = 1) -> None:
    """Ends this process at once where one is starting that nobody has taken, as after a mistake in the plan: its thread
    cannot be stopped, and the interpreter would abort when it ends around it."""
    if not _pending:
        return
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            process.kill()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or there is none
            stream.flush()
    os._exit(status)


def known_needs(config: Config) -> dict[str, float] | None:
    """No less than the actors will ask for, by resource.

    None: Ray would not be our own, actors reserve CPUs, for each of which Ray would start a process, one device stands
    for all clients (`central`), or the plan runs code of the user's own, which may start a Ray itself.
    """
    profiles = [config.devices.profile(name) for name in config.profiles]
    if cluster_address(config) or config.ray.placement == "cpus" or any(profile.num_cpus for profile in profiles):
        return None
    own_code = [domain.loader for domain in config.data.domains] + [config.model.own_networks[1]]
    if config.algorithm == "central" or any(own_code) or ":" in config.clusters.clustering:
        return None
    needs = {SERVER_RESOURCE: float(max(config.ray.body_replicas, config.ray.body_pipeline))}
    for profile in profiles:
        for name, amount in profile.resources.items():
            needs[name] = needs.get(name, 0.0) + amount
    return needs
