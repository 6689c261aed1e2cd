"""A user's own function, or their albumentations transforms, on one crop.

    image, mask = function(image, mask, rng)

image is (h, w, c), uint8, or float32 with 1.0 for white; mask is (h, w), int64 class ids, or
(h, w, k) for labels and values. All random numbers have to come from rng, a numpy Generator, so
that an item stays a function of the seed and its number. Albumentations are given a seed from it.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Shaped
from numpy import ndarray
from torch import Tensor

from pixelwise.errors import InputError, in_one_line, suggestion

LONGEST = 160
Vary = Callable[[ndarray, ndarray, np.random.Generator], tuple[ndarray, ndarray]]


@dataclass
class Own:
    """Calls what the user wrote and checks what comes back.

    Args:
        call: `file.py:function`, which each process loads for itself, or what is to be called.
    """

    call: str | Any
    _loaded: Any = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """For messages."""
        return self.call if isinstance(self.call, str) else f"own={type(self.call).__name__}"

    def __call__(
        self,
        image: Shaped[ndarray, "h w c"],
        mask: Shaped[ndarray, "h w *k"],
        rng: np.random.Generator,
        allowed: tuple[int, int] | None,
    ) -> tuple[ndarray, ndarray]:
        """The varied image and mask.

        Args:
            image: As above.
            mask: As above.
            rng: Of the item.
            allowed: Largest value of the mask, and the ignore index; None: it holds numbers.

        Raises:
            InputError: It cannot be loaded, it fails, or it gives what training cannot take.
        """
        if self._loaded is None:
            self._loaded = load(self.call) if isinstance(self.call, str) else self.call
        given = image.copy(), mask.copy()
        try:
            if is_transform(self._loaded):
                found = transformed(self._loaded, *given, rng)
            else:
                found = self._loaded(*given, rng)
        except InputError:
            raise
        except Exception as error:
            told = in_one_line(error, LONGEST)
            raise InputError(f"{self.name}: fails with {told}; correct the function") from error
        return self._checked(found, image, mask, allowed)

    def __getstate__(self) -> dict[str, Any]:
        kept = None if isinstance(self.call, str) else self._loaded
        return {"call": self.call, "_loaded": kept}

    def _checked(
        self, found: Any, image: ndarray, mask: ndarray, allowed: tuple[int, int] | None
    ) -> tuple[ndarray, ndarray]:
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise InputError(
                f"{self.name}: gives {type(found).__name__}; must give two arrays, image and mask"
            )
        for what, one, like in zip(("image", "mask"), found, (image, mask), strict=True):
            if not isinstance(one, ndarray) or one.shape != like.shape or one.dtype != like.dtype:
                is_array = isinstance(one, ndarray)
                given = f"{one.dtype} {one.shape}" if is_array else type(one).__name__
                raise InputError(
                    f"{self.name}: gives as {what} {given} for {like.dtype} {like.shape}; keep"
                    " shape and type"
                )
        if found[0].dtype.kind == "f" and not np.isfinite(found[0]).all():
            raise InputError(f"{self.name}: gives an image with NaN or infinity; keep it finite")
        if allowed is not None:
            highest, ignored = allowed
            strange = (found[1] != ignored) & ((found[1] < 0) | (found[1] > highest))
            if strange.any():
                raise InputError(
                    f"{self.name}: gives a mask with {found[1][strange][0]}; must be 0 to"
                    f" {highest}, or {ignored} where nothing is known"
                )
        return np.ascontiguousarray(found[0]), np.ascontiguousarray(found[1])


def load(spec: str) -> Any:
    """What `file.py:function` names.

    Raises:
        InputError: There is no such file or function, or the file cannot be run.
    """
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise InputError(f"augment: own={spec!r}: there is no file {file}; check the path")
    described = importlib.util.spec_from_file_location(f"pixelwise_own_{path.stem}", path)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    try:
        described.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        told = in_one_line(error, LONGEST)
        raise InputError(f"augment: own={spec!r}: cannot be run ({told}); correct it") from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [key for key, value in vars(module).items() if callable(value) and key[0] != "_"]
        raise InputError(
            f"augment: own={spec!r}: {file} has no function {name}; {suggestion(name, known)}"
        )
    return found


def is_transform(found: Any) -> bool:
    """Whether it is one of albumentations' transforms, or several composed."""
    return type(found).__module__.partition(".")[0] in ("albumentations", "albucore") or any(
        base.__module__.partition(".")[0] == "albumentations" for base in type(found).__mro__
    )


def transformed(
    transform: Any, image: ndarray, mask: ndarray, rng: np.random.Generator
) -> tuple[ndarray, ndarray]:
    """The result of albumentations with a seed of its own for this crop.

    Raises:
        InputError: A version of albumentations that takes no seed.
    """
    if not hasattr(transform, "set_random_seed"):
        raise InputError(
            "augment: this version of albumentations takes no seed; install 1.4.19 or newer"
        )
    transform.set_random_seed(int(rng.integers(2**31)))
    kind: Any = mask.dtype
    if mask.dtype.kind in "iu":  # OpenCV moves no masks of int64
        kind = np.uint8 if mask.max(initial=0) <= 255 else np.uint16
    found = transform(image=image, mask=mask.astype(kind))
    return found["image"], found["mask"].astype(mask.dtype)


@dataclass(frozen=True)
class About:
    """What a crop holds.

    Args:
        byte: Whether pictures are of 8 bits.
        scale: The raw value that means 1.0.
        highest: Of the mask, if it holds classes or labels.
        ignored: What stands there where nothing is known.
    """

    byte: bool
    scale: float
    highest: int
    ignored: int


def by_own(
    own: Own,
    raw: Float32[Tensor, "c h w"],
    mask: Shaped[Tensor, "*labels h w"],
    about: About,
    rng: np.random.Generator,
) -> tuple[Shaped[Tensor, "c h w"], Shaped[Tensor, "*labels h w"]]:
    """A crop of raw values and its mask, as the function makes them."""
    given = raw.round().clamp(0, 255).byte() if about.byte else raw / about.scale
    banded = mask.ndim == 3
    image, found = own(
        given.permute(1, 2, 0).numpy(),
        mask.permute(1, 2, 0).numpy() if banded else mask.numpy(),
        rng,
        None if mask.is_floating_point() else (about.highest, about.ignored),
    )
    varied, labels = torch.from_numpy(image).permute(2, 0, 1), torch.from_numpy(found)
    return (
        varied if about.byte else varied * about.scale,
        labels.permute(2, 0, 1) if banded else labels,
    )
