from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from raygan.wire.codec import decode, encode, to_array
from raygan.wire.maps import ChannelsLast

MAPS = torch.arange(2 * 3 * 4 * 5, dtype=torch.float32).reshape(2, 3, 4, 5)


def test_maps_keep_their_layout_where_they_are_pickled_and_are_not_copied() -> None:
    maps = MAPS.contiguous(memory_format=torch.channels_last)
    array = to_array(maps)
    assert array.ctypes.data == maps.data_ptr()
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(array, protocol=5, buffer_callback=buffers.append)
    (buffer,) = buffers
    assert len(pickled) < 400
    found = pickle.loads(pickled, buffers=[buffer])
    assert found.ctypes.data == maps.data_ptr()
    assert np.array_equal(found, MAPS.numpy())
    assert torch.from_numpy(found).is_contiguous(memory_format=torch.channels_last)


def test_parts_of_maps_and_other_arrays_are_pickled_as_they_are() -> None:
    array = to_array(MAPS.contiguous(memory_format=torch.channels_last))
    for part in (array[0], array[:, :2], array.mean(0), array[1:]):
        assert np.array_equal(pickle.loads(pickle.dumps(part)), np.asarray(part))
    assert not isinstance(to_array(MAPS), ChannelsLast)
    odd = MAPS.transpose(2, 3)
    assert np.array_equal(to_array(odd), odd.numpy())
    assert to_array(odd).flags.c_contiguous


@pytest.mark.parametrize("codec", ["float32", "bfloat16", "float16", "int8"])
def test_a_codec_has_the_numbers_of_maps_with_their_channels_first(codec) -> None:
    first, last = (encode([x], codec) for x in (MAPS, MAPS.contiguous(memory_format=torch.channels_last)))
    assert torch.equal(decode(first[0]), decode(pickle.loads(pickle.dumps(last[0]))))
