"""The paper's devices and networks as the planner's input (arXiv 2507.12979).

FLOPs are computed from the layer shapes: a multiply-add counts as two, and only the main layer of a block
counts (normalisation, activation and label embeddings are below 1%). Backward is twice forward, one product
for the weights' gradient and one for the input's, except in D's block 0, where it is once forward: its
input is an image, so D's own passes need only the weights' gradient, and the pass that trains G only the
input's. G's block 0 counts twice, although z needs no gradient: the label embedding beside it is learned. A
simplification on the safe side: the pass that trains G is not credited for the other weight gradients of D
that it skips.
"""

from __future__ import annotations

from dataclasses import dataclass

from raygan.config import catalogue
from raygan.cuts import Device, NetworkCost, Server

FLOAT_BYTES = 4
KEPT_PER_OUTPUT = 3  # the outputs of layer, normalisation and activation are kept for the backward pass
PAPER_PROFILES = tuple(f"paper_device_{number}" for number in range(1, 8))
PAPER_SERVER = Server(flops_per_s=672e9, bytes_per_s=1000e6)
PAPER_BATCH = 64
PAPER_FLEET = {
    "data": {"domains": [{"name": "demo_mnist", "clients": 9}]},
    "devices": {"fleet": list(PAPER_PROFILES)},
    "cuts": {"ga": {"population": 50, "generations": 20}},
}
"""A configuration of nine clients on these devices, with a small genetic algorithm."""
CLASSES, LATENT, EMBEDDING, IMAGE = 10, 100, 10, 28


@dataclass(frozen=True)
class _Layer:
    """One block's main layer: a convolution of `kernel` x `kernel`, transposed or not, or a linear layer."""

    inputs: int
    outputs: int
    kernel: int
    positions: int
    """Positions that the kernel visits: output pixels of a convolution, input pixels of a transposed one."""
    out_pixels: int
    norm: bool = True
    extra_parameters: int = 0

    @property
    def flops(self) -> int:
        return 2 * self.inputs * self.outputs * self.kernel**2 * self.positions

    @property
    def out_values(self) -> int:
        return self.outputs * self.out_pixels

    @property
    def parameters(self) -> int:
        weights = self.inputs * self.outputs * self.kernel**2
        per_output = 3 if self.norm else 1  # bias, and scale and shift of the normalisation
        return weights + self.outputs * per_output + self.extra_parameters


def paper_networks(batch: int = PAPER_BATCH, width: float = 1.0) -> tuple[NetworkCost, NetworkCost]:
    """Costs of the paper's generator and discriminator for 1x28x28 images, float32 on the wire.

    Args:
        batch: images in a minibatch.
        width: scales the channel counts.
    """
    c64, c128, c256 = (max(1, round(width * channels)) for channels in (64, 128, 256))
    generator = (
        _Layer(LATENT + EMBEDDING, c256 * 49, 1, 1, 1, extra_parameters=CLASSES * EMBEDDING),
        _Layer(c256, c128, 4, 7 * 7, 14 * 14),
        _Layer(c128, c128, 3, 14 * 14, 14 * 14),
        _Layer(c128, c64, 4, 14 * 14, 28 * 28),
        _Layer(c64, 1, 3, 28 * 28, 28 * 28, norm=False),
    )
    discriminator = (
        _Layer(2, c64, 4, 14 * 14, 14 * 14, extra_parameters=CLASSES * IMAGE * IMAGE),
        _Layer(c64, c128, 4, 7 * 7, 7 * 7),
        _Layer(c128, c128, 3, 7 * 7, 7 * 7),
        _Layer(c128, c256, 4, 3 * 3, 3 * 3),
        _Layer(c256 * 9, 1, 1, 1, 1, norm=False),
    )
    return _cost(generator, batch, first_backward=2), _cost(discriminator, batch, first_backward=1)


def _cost(layers: tuple[_Layer, ...], batch: int, first_backward: int) -> NetworkCost:
    factors = [first_backward, *[2] * (len(layers) - 1)]
    return NetworkCost(
        forward_flops=[batch * layer.flops for layer in layers],
        backward_flops=[factor * batch * layer.flops for factor, layer in zip(factors, layers, strict=True)],
        output_bytes=[FLOAT_BYTES * batch * layer.out_values for layer in layers],
        parameter_bytes=[FLOAT_BYTES * layer.parameters for layer in layers],
        activation_bytes=[FLOAT_BYTES * KEPT_PER_OUTPUT * batch * layer.out_values for layer in layers],
    )


def paper_devices(num_clients: int = 80) -> list[Device]:
    """Clients dealt to the paper's seven devices in turn; the paper states no memory, so none is modelled."""
    profiles = [Device.from_profile(name, catalogue()[name]) for name in PAPER_PROFILES]
    return [profiles[client % len(profiles)] for client in range(num_clients)]
