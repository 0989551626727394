"""Maps as arrays whose channels are last in memory, as convolutions on CPUs like them. Needs no torch."""

from __future__ import annotations

from typing import Any

import numpy as np


class ChannelsLast(np.ndarray):
    """An array (B, C, H, W) whose channels are last in memory, and still are where it is unpickled, which shares the
    memory: numpy would copy it, with the channels first."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As the array (B, H, W, C) that it is in memory; a part of it, as numpy has it."""
        if self.ndim != 4:
            return np.asarray(self).__reduce_ex__(protocol)
        return channels_last, (np.asarray(self).transpose(0, 2, 3, 1),)


def channels_last(array: np.ndarray) -> ChannelsLast:
    """(B, H, W, C) -> the same memory as (B, C, H, W)."""
    return array.transpose(0, 3, 1, 2).view(ChannelsLast)
