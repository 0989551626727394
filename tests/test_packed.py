"""Many clients' arrays in one file, against safetensors' own reader."""

from __future__ import annotations

import hashlib
import weakref
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from raygan.errors import RunError
from raygan.packed import read_packed, write_packed

CLIENTS = {
    3: {"weight": np.arange(6, dtype=np.float32).reshape(2, 3).T, "step": np.array(7, dtype=np.int64)},
    12: {
        "weight": np.array([[-0.0, np.nan]], dtype=np.float32),
        "mass": np.array(0.5),
        "none": np.zeros((0, 4), np.float32),
    },
    40: {},
}


def written(path: Path) -> Path:
    write_packed(path, {number: lambda own=own: own for number, own in CLIENTS.items()})
    return path


def test_safetensors_reads_what_was_written_bit_for_bit(tmp_path: Path) -> None:
    found = load_file(written(tmp_path / "clients-0003.safetensors"))
    expected = {f"{number:04d}/{name}": a for number, own in CLIENTS.items() for name, a in own.items()}
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_the_wanted_clients_are_read_back(tmp_path: Path) -> None:
    found = dict(read_packed(written(tmp_path / "clients-0003.safetensors"), [12, 40, 5]))
    assert found.keys() == {12, 40, 5}
    assert found[40] == found[5] == {}
    assert found[12].keys() == CLIENTS[12].keys()
    assert all(found[12][name].tobytes() == array.tobytes() for name, array in CLIENTS[12].items())


def test_the_record_has_the_files_size_checksum_and_clients(tmp_path: Path) -> None:
    record = write_packed(tmp_path / "clients-0000.safetensors", {0: lambda: CLIENTS[3], 9: lambda: CLIENTS[12]})
    content = (tmp_path / "clients-0000.safetensors").read_bytes()
    assert record.name == "clients-0000.safetensors"
    assert record.num_bytes == len(content)
    assert record.sha256 == hashlib.sha256(content).hexdigest()
    assert record.clients == (0, 9)


def test_no_two_clients_arrays_are_in_memory_at_a_time(tmp_path: Path) -> None:
    alive: list[weakref.ref] = []
    most = 0

    def arrays() -> dict[str, np.ndarray]:
        nonlocal most
        most = max(most, sum(one() is not None for one in alive))
        array = np.zeros(1000, np.float32)
        alive.append(weakref.ref(array))
        return {"weight": array}

    write_packed(tmp_path / "clients-0000.safetensors", dict.fromkeys(range(5), arrays))
    assert len(alive) == 10
    assert most <= 1


def test_what_fails_on_the_way_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path, asked = written(tmp_path / "clients-0003.safetensors"), []
    before = path.read_bytes()

    def full() -> dict[str, np.ndarray]:
        asked.append(1)
        if len(asked) == 2:
            raise OSError(28, "No space left on device")
        return CLIENTS[3]

    with pytest.raises(RunError, match=r"clients-0003.safetensors: cannot be written \(No space left on device\)"):
        write_packed(path, {3: full})
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "clients-0003.safetensors")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(RunError, match=r"clients-0003.safetensors: cannot be read"):
        dict(read_packed(path, [3]))
    with pytest.raises(RunError, match=r"nothing.safetensors: cannot be read"):
        dict(read_packed(tmp_path / "nothing.safetensors", [3]))
