"""A stand-in for an accelerator: tensors elsewhere, which numpy cannot read and which do not mix.

Inside of `OtherDevice()`, tensors moved to or made on the device `meta` keep their values, out of
reach: numpy refuses them, and so does every operation that meets one of them and a tensor of the
CPU, as it would on CUDA (numbers without a dimension, and rows to pick, may come from the CPU there
too). What runs here and gives the right numbers leaves nothing behind on the wrong device.
"""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("meta")
MIXING = ("copy_", "_to_copy", "index", "index_put", "_index_put_impl_")
"""Operations that take tensors of two devices on CUDA too."""


class Elsewhere(torch.Tensor):
    """A tensor on the other device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Elsewhere:
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), strides=held.stride(), dtype=held.dtype, device=DEVICE
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        del types
        return _run(function, arguments, named or {})


class OtherDevice(TorchDispatchMode):
    """Puts there what is moved to or made on the device `meta`."""

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        del types
        return _run(function, arguments, named or {})


def _run(function, arguments, named):
    name = function.overloadpacket.__name__
    given = [leaf for leaf in tree_leaves((arguments, named)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in given if isinstance(tensor, Elsewhere)]
    here = [tensor for tensor in given if not isinstance(tensor, Elsewhere) and tensor.ndim]
    if there and here and name not in MIXING:
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    target = named.get("device")
    if target is not None:
        named = {**named, "device": torch.device("cpu")}
    stays = bool(there) if target is None else torch.device(target) == DEVICE
    if name == "copy_":
        stays = isinstance(arguments[0], Elsewhere)

    def opened(leaf):
        return leaf.held if isinstance(leaf, Elsewhere) else leaf

    found = function(*tree_map(opened, arguments), **tree_map(opened, named))
    changed = {id(tensor.held): tensor for tensor in there}

    def closed(leaf):
        if isinstance(leaf, torch.Tensor) and id(leaf) in changed:
            return changed[id(leaf)]
        return Elsewhere(leaf) if stays and isinstance(leaf, torch.Tensor) else leaf

    return tree_map(closed, found)
