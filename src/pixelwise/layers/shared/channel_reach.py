"""How many channels beside it a gate sees, by the rule of efficient channel attention.

    k = odd(|log2(c) / gamma + beta / gamma|)

where odd(t) is the whole part of t, plus one where that is even.
"""

import math

from pixelwise.checks import at_least
from pixelwise.errors import InputError


def channel_reach(channels: int, kernel_size: int | None, gamma: float, beta: float) -> int:
    """`kernel_size` itself, or what the rule says.

    Raises:
        InputError: `gamma` is not above 0, or the kernel is even or absurdly large.
    """
    if not 0 < gamma < math.inf:
        raise InputError(f"gamma={gamma}: must be above 0; the paper has gamma=2.0")
    if kernel_size is None:
        reach = abs(math.log2(channels) + beta) / gamma
        if not reach < 2 * channels + 1:
            raise InputError(
                f"gamma={gamma}, beta={beta}: must give a kernel of at most twice the channels,"
                f" {channels}; raise gamma, or give kernel_size"
            )
        whole = int(reach)
        kernel_size = whole + 1 - whole % 2
    at_least(1, kernel_size=kernel_size)
    if kernel_size % 2 == 0:
        raise InputError(f"kernel_size={kernel_size}: must be odd; take one more or one less")
    return kernel_size
