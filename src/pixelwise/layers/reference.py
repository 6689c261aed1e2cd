"""Weights under other people's names: keys of known checkpoints -> parameters here."""

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from pixelwise.errors import InputError


class ReferenceWeights(nn.Module):
    """A module that knows how the sources it follows name its parameters."""

    reference_keys: ClassVar[Mapping[str, str]] = {}
    """Module and parameter names in the checkpoints of known sources -> names here."""

    def reference_name(self, key: str) -> str | None:
        """Our name for `key` of a known source's checkpoint, or None if it has none here.

        The longest known name that `key` begins with (the empty one begins all) is replaced; a
        part that is such a module itself then translates what is left.
        """
        for theirs in sorted(self.reference_keys, key=len, reverse=True):
            if not theirs or key == theirs or key.startswith(theirs + "."):
                return self._inside(
                    self.reference_keys[theirs], key.removeprefix(theirs).removeprefix(".")
                )
        return None

    def _inside(self, ours: str, rest: str) -> str | None:
        part = self.get_submodule(ours) if ours in dict(self.named_modules()) else None
        if rest and ours and isinstance(part, ReferenceWeights):
            found = part.reference_name(rest)
            return None if found is None else f"{ours}.{found}"
        return ".".join(name for name in (ours, rest) if name)

    def _expected(self, name: str) -> str:
        """What checkpoints call a parameter of ours, where it is not the same."""
        for theirs, ours in self.reference_keys.items():
            if name == ours or name.startswith(f"{ours}.") or not ours:
                rest = name.removeprefix(ours).removeprefix(".")
                key = ".".join(part for part in (theirs, rest) if part)
                if key != name and self.reference_name(key) == name:
                    return f" (in checkpoints {key})"
        return ""

    def translated(self, state_dict: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """`state_dict` with what no change of names can bring over; most layers have nothing."""
        return state_dict

    @torch.no_grad()
    def load_reference(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load the weights of a known source; all of them must fit, or none is loaded.

        Raises:
            InputError: A weight is missing, left over, or of another shape (axes of size 1 aside).
        """
        own = self.state_dict()
        renamed: dict[str, Tensor] = {}
        surplus, misshapen, mistyped = [], [], []
        for key, value in self.translated(state_dict).items():
            name = self.reference_name(key)
            if name is None or name not in own:
                told = " (no known name)" if name is None else f" ({name} is not in this layer)"
                surplus.append(key + told)
                continue
            if name in renamed:
                surplus.append(f"{key} (a second one for {name})")
                continue
            renamed[name] = value
            if value.is_meta:
                mistyped.append(f"{key} is on the meta device, without numbers")
            elif not same_kind(value, own[name]):
                mistyped.append(f"{key} is {kind_name(value)}, {name} {kind_name(own[name])}")
            elif not fits(value, own[name]):
                misshapen.append(f"{key} {tuple(value.shape)} for {name} {tuple(own[name].shape)}")
        missing = [name for name in own if name not in renamed]
        if missing or surplus or misshapen or mistyped:
            faults = {
                "missing": [f"{name}{self._expected(name)}" for name in missing],
                "left over": surplus,
                "wrong shape": misshapen,
                "wrong type": mistyped,
            }
            told = "; ".join(f"{w}: {', '.join(names)}" for w, names in faults.items() if names)
            raise InputError(
                f"the checkpoint does not fit {type(self).__name__}: {told}; "
                "build it with the options that the checkpoint was trained with"
            )
        self.load_state_dict({k: v.reshape(own[k].shape) for k, v in renamed.items()})


def translated_part(
    state_dict: Mapping[str, Tensor], prefix: str, part: ReferenceWeights
) -> dict[str, Tensor]:
    """`state_dict` where what lies under `prefix` is as `part.translated` gives it."""
    start = prefix + "."
    inside = {k.removeprefix(start): v for k, v in state_dict.items() if k.startswith(start)}
    outside = {k: v for k, v in state_dict.items() if not k.startswith(start)}
    return outside | {start + k: v for k, v in part.translated(inside).items()}


def fits(value: Tensor, own: Tensor) -> bool:
    """Whether two tensors have the same shape, axes of size 1 aside."""
    theirs, ours = ([size for size in tensor.shape if size != 1] for tensor in (value, own))
    return theirs == ours


def same_kind(value: Tensor, own: Tensor) -> bool:
    """Whether one can stand for the other: both of floating point, or both whole numbers.

    Counters that were turned to floating point with the rest of a network are whole numbers still.
    """
    if value.is_quantized or value.is_complex() or value.layout != torch.strided:
        return False
    if own.is_floating_point() == value.is_floating_point():
        return own.dtype == torch.bool or value.dtype != torch.bool
    return not own.is_floating_point() and (value.is_meta or bool((value == value.floor()).all()))


def kind_name(value: Tensor) -> str:
    """The name of a tensor's type, such as `float32`."""
    return str(value.dtype).removeprefix("torch.")
