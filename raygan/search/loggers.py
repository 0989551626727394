"""Loggers beside those that Ray Tune always has (TensorBoard, CSV, JSON), by name."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ray.tune import Callback

from raygan.errors import ConfigError, instead_of

CALLBACKS = {
    "mlflow": ("ray.air.integrations.mlflow", "MLflowLoggerCallback"),
    "wandb": ("ray.air.integrations.wandb", "WandbLoggerCallback"),
}


def make_loggers(asked: Mapping[Any, Mapping[str, Any]]) -> list[Callback]:
    """Ray's callbacks for the names in the file.

    Raises:
        ConfigError: a package that is not installed, or an argument that the callback does not have.
    """
    return [_logger(name, arguments) for name, arguments in asked.items()]


def _logger(name: str, arguments: Mapping[str, Any]) -> Callback:
    if find_spec(name) is None:
        raise ConfigError(f"callbacks.{name}", f"{name} is not installed", f"pip install {name}")
    module, kind = CALLBACKS[name]
    callback = getattr(import_module(module), kind)
    parameters = inspect.signature(callback).parameters
    known = [key for key, value in parameters.items() if value.kind != value.VAR_KEYWORD]
    for key in arguments:
        if key not in known:
            remedy = instead_of(key, known)
            raise ConfigError(f"callbacks.{name}.{key}", f"{kind} has no such argument", remedy)
    try:
        return callback(**arguments)
    except (TypeError, ValueError) as error:
        found = f"{kind} refuses its arguments ({' '.join(str(error).split())})"
        raise ConfigError(f"callbacks.{name}", found, "mend them") from None
