"""Device profiles: what a device computes and sends in a second, and what its actor asks Ray for.

The catalogue (`devices.yaml` beside this file) names the paper's seven devices and real ones, each with
the source of its numbers; `devices.profiles` of a configuration adds to it or overrides it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

CATALOGUE_FILE = Path(__file__).with_name("devices.yaml")
SERVER_RESOURCE = "body"
"""Custom resource of the node that runs the server: the shared body, or whatever else an algorithm has there."""


class DeviceProfile(BaseModel):
    """One kind of device."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    flops_per_s: float = Field(gt=0, allow_inf_nan=False)
    """Sustained floating-point operations a second (c_i of the latency model)."""
    bytes_per_s: float = Field(gt=0, allow_inf_nan=False)
    """Up-link, bytes a second (r_i of the latency model)."""
    memory_bytes: int | None = Field(default=None, gt=0)
    """Memory that training may use, bytes; None: no limit is modelled."""
    resources: dict[str, float] = {}
    """Custom Ray resources that the actor asks for, such as `{jetson_nano: 1}`."""
    num_cpus: float = Field(default=0, ge=0)
    """CPUs that the actor reserves. 0: placement is left to the custom resource."""
    num_gpus: float = Field(default=0, ge=0)
    """GPUs (or a share of one) that the actor reserves."""
    labels: dict[str, str] = {}
    """Ray node labels that the actor's node must carry."""
    source: str = ""
    """Where the numbers come from."""

    @field_validator("flops_per_s", "bytes_per_s", "memory_bytes", "resources", "num_cpus", "num_gpus", mode="before")
    @classmethod
    def _no_flags(cls, value: Any) -> Any:
        """Pydantic takes true for 1."""
        if any(isinstance(one, bool) for one in (value.values() if isinstance(value, dict) else [value])):
            raise ValueError("a number is needed, not true or false")
        return value


@cache
def catalogue() -> dict[str, DeviceProfile]:
    """The profiles that ship with raygan, by name."""
    entries = yaml.safe_load(CATALOGUE_FILE.read_text(encoding="utf-8"))
    return {name: DeviceProfile(**entry) for name, entry in entries.items()}
