"""Data that can be recognised wherever it turns up, actors that write down all they send, and the search."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch

from raygan.config.schema import Config
from raygan.data import load_client
from raygan.parties.base import Party, Worker
from raygan.parties.layout import ClientPlan
from raygan.parties.spec import PartySpec
from raygan.randomness import stream, torch_seed
from raygan.run.plan import make_plan
from raygan.runtime.in_process import LocalHandle
from raygan.runtime.ray import actors as roles
from raygan.runtime.ray import transport as wire
from raygan.wire.codec import encode
from raygan.wire.records import CODECS, Encoded

SIDE, NUM_CLASSES = 12, 10


def write_canaries(path: Path, seed: int, num_train: int = 96) -> Path:
    """A domain of noise: no two images, no run of labels and no row of pixels is twice in it.

    Every image has a black and a white pixel, so that under a scaled codec its entries are known.
    """
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, count in (("train", num_train), ("test", 20)):
        images = rng.integers(1, 255, size=(count, SIDE, SIDE), dtype=np.uint8)
        images[:, 0, :2] = 0, 255
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = np.concatenate([np.arange(10), rng.integers(0, 10, count - 10)]).astype(np.uint8)
    np.savez(path, **arrays)
    return path


def serialized(value: Any) -> bytes:
    """All bytes of an object as Ray would send it, buffers out of band included."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return b"".join([head, *(buffer.raw().tobytes() for buffer in buffers)])


def tapped_workers(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Everything that workers return from now on, in process."""
    seen: list[bytes] = []
    submit = LocalHandle.submit

    def tapped(self: LocalHandle, method: str, *how: Any, **rest: Any) -> Any:
        out = submit(self, method, *how, **rest)
        if isinstance(self._party, Worker):
            seen.append(serialized(out))
        return out

    monkeypatch.setattr(LocalHandle, "submit", tapped)
    return seen


class Tapped(roles.ClientActor):
    """A client actor that writes down every object that it returns or puts into the store."""

    def __init__(self, spec: PartySpec[Party], config: Config, again: bool = False) -> None:
        tap = (Path(config.data.root) / f"tap-{spec.name}").open("ab")
        put = ray.put

        def tapped_put(value: Any, **options: Any) -> Any:
            tap.write(serialized(value))
            return put(value, **options)

        wire.ray.put = tapped_put  # this process is this actor's alone
        self._tap = tap
        super().__init__(spec, config, again)

    def run(self, method: str, count: int, arguments: list[Any]) -> Any:
        answer = super().run(method, count, arguments)
        for part in answer if isinstance(answer, (list, tuple)) else [answer]:
            if not isinstance(part, wire.Parcel):  # what is behind it was put
                self._tap.write(serialized(part))
        self._tap.flush()
        return answer


class Search:
    """Looks for byte patterns in what was sent: first for their first eight bytes, wherever these may begin."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        views = [
            np.frombuffer(content[shift : len(content) - (len(content) - shift) % 8], np.uint64) for shift in range(8)
        ]
        self._starts = np.unique(np.concatenate(views))

    def __len__(self) -> int:
        return len(self._content)

    def found(self, patterns: dict[str, bytes]) -> list[str]:
        """Names of the patterns that are there; those that are one byte throughout are nobody's."""
        telling = {name: p for name, p in patterns.items() if len(p) >= 8 and len(set(p)) > 2}
        heads = np.array([np.frombuffer(p[:8], np.uint64)[0] for p in telling.values()])
        hits = np.isin(heads, self._starts)
        return [n for (n, p), hit in zip(telling.items(), hits, strict=True) if hit and p in self._content]


FORMS = (np.uint8, np.int8, np.int32, np.int64, np.float16, np.float32, np.float64)


def _forms(name: str, values: np.ndarray) -> dict[str, bytes]:
    """The values as every number type."""
    return {f"{name} as {np.dtype(form).name}": values.astype(form).tobytes() for form in FORMS}


def _encoded(name: str, tensor: torch.Tensor) -> dict[str, bytes]:
    """The tensor as every codec would send it; of a long one, what it begins with."""
    patterns = {}
    for codec in CODECS:
        (part,) = encode([tensor.float()], codec)
        payload = part.payload if isinstance(part, Encoded) else part
        patterns[f"{name} as {codec}"] = payload.tobytes()[:64]
    return patterns


def private(plan: ClientPlan, config: Config, num_steps: int) -> dict[str, bytes]:
    """Everything of one client that may not leave it in the first round, by a name that a failure can show."""
    data = load_client(plan.data)
    who, seed = f"client {plan.client}", config.seed
    patterns: dict[str, bytes] = {}
    shuffle = stream(seed, "batches", 0, plan.client)
    latent = torch.Generator().manual_seed(torch_seed(seed, "latent", 0, plan.client))
    for step, batch in enumerate(data.epoch_batches(shuffle, config.training.batch_size)[:num_steps]):
        where = f"{who}, step {step}"
        images, labels = data.batch(batch)
        for place, index in enumerate(batch):
            patterns |= _forms(f"{where}, image {place}, pixels", data.images[index, 0, 5])
            patterns |= _forms(f"{where}, image {place}, in [-1, 1]", images[place, 0, 5])
            patterns |= _encoded(f"{where}, image {place}", torch.from_numpy(images[place]))
        patterns |= _encoded(f"{where}, all images", torch.from_numpy(images))
        z = torch.randn(len(labels), config.model.latent_size, generator=latent)
        patterns |= _encoded(f"{where}, z", z) | _forms(f"{where}, z", z.numpy())
        hot, stored = np.eye(NUM_CLASSES)[labels], data.labels[batch]
        for name, values in (("labels", labels), ("one-hot labels", hot), ("labels by image", stored)):
            patterns |= _forms(f"{where}, {name}", values) | _encoded(f"{where}, {name}", torch.from_numpy(values))
    patterns |= _forms(f"{who}, labels as stored", data.labels[:16])
    return patterns


def secrets_of(config: Config, num_steps: int) -> dict[str, bytes]:
    """The same of every client."""
    return {
        name: pattern
        for plan in make_plan(config).layout.clients
        for name, pattern in private(plan, config, num_steps).items()
    }
