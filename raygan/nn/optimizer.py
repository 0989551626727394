"""Adam (Kingma and Ba 2015, arXiv 1412.6980) as torch's fused kernel computes it, with less around each step.

Clients have few and small parameters, and step often: what `torch.optim.Adam.step` does beside the kernel (hooks, the
profiler's range) takes longer than the kernel. It also imports torch's compiler, `torch._dynamo`: more than a second of
CPU time in each actor. State and numbers are those of `torch.optim.Adam(fused=True)`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam

KEPT = "__dynamo_disable"
"""Where torch (`torch/_compile.py`) keeps what its compiler makes of a function that it is to leave alone. A torch that
looks elsewhere imports the compiler, as it does without us."""


class FusedAdam(torch.optim.Adam):
    """`torch.optim.Adam(fused=True)` without weight decay, AMSGrad, closures and hooks around a step."""

    def __init__(self, parameters: Sequence[Tensor], lr: float, betas: tuple[float, float]) -> None:
        _leave_the_compiler()
        super().__init__(parameters, lr=lr, betas=betas, fused=True)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            trained = [parameter for parameter in group["params"] if parameter.grad is not None]
            if trained:
                self._update(trained, group)

    step.hooked = True  # type: ignore[attr-defined]  # torch wraps what is not marked in hooks and the profiler's range

    def _update(self, trained: list[Tensor], group: dict[str, Any]) -> None:
        states = [self._state_of(parameter) for parameter in trained]
        beta1, beta2 = group["betas"]
        adam(
            trained,
            [laid_out_as(parameter, parameter.grad) for parameter in trained if parameter.grad is not None],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=0.0,
            eps=group["eps"],
            maximize=False,
        )

    def _state_of(self, parameter: Tensor) -> dict[str, Tensor]:
        """A parameter's moments, which are 0 before its first step."""
        state: dict[str, Tensor] = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


def laid_out_as(parameter: Tensor, values: Tensor) -> Tensor:
    """A gradient or a moment as its parameter is in memory, where the kernel goes through all of them; torch's own are so
    already, those that others have put there, or that come from a file, may not be."""
    return values if values.stride() == parameter.stride() else torch.empty_like(parameter).copy_(values)


def _leave_the_compiler() -> None:
    """Optimizers import no compiler from now on: kept of each function is the function itself. Nothing where the compiler
    is there already."""
    if "torch._dynamo" in sys.modules:
        return
    for function in vars(torch.optim.Optimizer).values():
        plain = getattr(function, "__wrapped__", None)
        if plain is not None and not hasattr(plain, KEPT):
            setattr(plain, KEPT, plain)
