"""What is done so that others learn less of a client: `privacy` in the configuration."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class PrivacyConfig(BaseModel):
    """Defences. What each is worth, and against whom, is in `raygan/docs/privacy.md`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    secure_aggregation: bool = False
    """Whether aggregators learn only weighted sums of a cluster's members, and never one member's networks (needs the
    extra `privacy`). Clusters then have at least three members, and a block that fewer of them hold is in no sum."""
    hide_discriminator: bool = False
    """Whether D's blocks on clients stay with clients: they begin from a secret that clients alone share, who alone can
    read their sums, and files of them are encrypted. Needs `secure_aggregation`; fakes' labels are then even."""
    keys: str = "~/.local/share/raygan/keys"
    """Folder on each client's machine where it keeps that secret, for `--resume`. It must not be the run's own."""
