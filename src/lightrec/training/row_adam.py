"""Adam for large tables of vectors: only the rows that a step has met are touched.

Plain Adam moves every row at every step, which for a catalogue of a hundred thousand vectors costs
ten times what the gradient does. Here the moments of a row, and their bias corrections, advance
when the row has a gradient (often called lazy Adam).

Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, overload

import torch

from lightrec.native import KERNELS


class RowAdam(torch.optim.Optimizer):
    """Adam by rows, for gradients that are sparse with unique rows; a dense one moves all rows."""

    def __init__(
        self,
        parameters: Iterable[torch.nn.Parameter],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        """Sets the rates.

        Args:
            parameters: Of float32, one vector, or whatever else, a row.
            lr: Learning rate.
            betas: Decay of the first and the second moment at each gradient of a row.
            eps: Added to the root of the second moment.
        """
        super().__init__(parameters, {"lr": lr, "betas": betas, "eps": eps})
        for group in self.param_groups:  # all state from the start, so that it can be restored
            for parameter in group["params"]:
                widths = {"rows_seen": 1, "exp_avg": parameter[0].numel()}
                widths["exp_avg_sq"] = widths["exp_avg"]
                self.state[parameter] = {
                    name: torch.zeros(len(parameter), width, device=parameter.device)
                    for name, width in widths.items()
                }

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Moves the rows that have a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, self.state[parameter], group)
        return loss

    @staticmethod
    def _move(
        parameter: torch.nn.Parameter, state: dict[str, torch.Tensor], group: dict[str, Any]
    ) -> None:
        gradient = parameter.grad
        assert gradient is not None
        if gradient.is_sparse:
            rows, values = gradient._indices()[0], gradient._values()
        else:
            rows = torch.arange(len(gradient), device=gradient.device)
            values = gradient.reshape(len(gradient), -1)
        fast, slow = group["betas"]
        moved = parameter.detach().view(len(parameter), -1)
        tables = (moved, *(state[name] for name in ("rows_seen", "exp_avg", "exp_avg_sq")))
        if KERNELS is not None and all(_is_plain(table) for table in (*tables, rows, values)):
            arrays = [table.numpy() for table in (*tables, rows, values)]
            rates = (group["lr"], fast, slow, group["eps"])
            KERNELS.row_adam(*arrays, *rates, threads=torch.get_num_threads())
            return
        seen = state["rows_seen"][rows] + 1
        first = state["exp_avg"][rows].mul_(fast).add_(values, alpha=1 - fast)
        second = state["exp_avg_sq"][rows].mul_(slow).addcmul_(values, values, value=1 - slow)
        state["rows_seen"][rows] = seen
        state["exp_avg"][rows] = first
        state["exp_avg_sq"][rows] = second
        scale = (second / (1 - slow**seen)).sqrt_().add_(group["eps"])
        moved.index_add_(0, rows, first.div_(1 - fast**seen).div_(scale), alpha=-group["lr"])


def _is_plain(table: torch.Tensor) -> bool:
    """Whether the compiled kernel can read it where it lies."""
    known = table.dtype in (torch.float32, torch.int64)
    return known and table.device.type == "cpu" and table.is_contiguous()
