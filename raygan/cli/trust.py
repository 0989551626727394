"""Code that a run's configuration names is loaded only where its user says so: the folder may come from anybody."""

from __future__ import annotations

from raygan.config.schema import Config
from raygan.errors import InputError


def check_trust(config: Config, trusted: bool, reads_data: bool = False) -> None:
    """Refuses to load what a run brings along as code.

    Args:
        trusted: `--trust`.
        reads_data: whether the domains are read as well.

    Raises:
        InputError: code would have to be loaded, and nobody has said that it is trusted.
    """
    key, path = config.model.own_networks
    named = [] if path is None else [f"{key} {path}"]
    if reads_data:
        named += [f"loader {domain.loader}" for domain in config.data.domains if domain.loader is not None]
    if named and not trusted:
        found = f"this run needs code of its own ({', '.join(named)})"
        raise InputError("--trust", found, "give --trust if you know whose it is")
