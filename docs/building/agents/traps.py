"""What goes wrong when a network is put together in a hurry, and what to do; each is tested."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Trap:
    """A mistake.

    Args:
        mistake: What is done or believed.
        remedy: What to do.
    """

    mistake: str
    remedy: str


TRAPS = (
    Trap(
        'Names such as "PSA", "EMA", "DA", "CA" or "SA" mean several mechanisms',
        "`pixelwise layers PSA` lists them; write the key (`psa_s`), and tell the user which one",
    ),
    Trap(
        "Calling softmax or resizing behind the network",
        "`model(image)` gives logits at the input's size; losses take logits,"
        " `model.answer(logits)` gives classes",
    ),
    Trap(
        "Passing pictures of 0..255 to the network",
        "the input is `(raw / scale - mean) / std` with the values in `model.config`; `pixelwise"
        " predict` does it, and `--normalise` of `pixelwise export` puts it into the file",
    ),
    Trap(
        "Attention put into a trained network changes its output at once",
        "`pw.insert(host, plan)` starts as the identity, and its report shows a change of 0; train"
        " afterwards",
    ),
    Trap(
        "Comparing one run with attention to one run without",
        "`pixelwise compare` has seeds, controls of equal cost, and intervals; report those",
    ),
    Trap(
        "Training before looking at the masks",
        "`pixelwise check-data` first; values that are no classes go into `map:`, not into code",
    ),
    Trap(
        "A mask saved as JPEG, or resized bilinearly",
        "masks are PNG or TIFF with whole numbers; pixels without a label have `ignore_index`",
    ),
    Trap(
        "Pair attention at full resolution runs out of memory",
        'place it behind a stage with stride 8 or more, or give `max_memory="2GB"`; the h w x h w'
        " matrix is never needed",
    ),
    Trap(
        "Catching `InputError` and going on",
        "its one line says value, rule and remedy: do what it says",
    ),
    Trap(
        "Options that do not exist, as copied from another library",
        "every option is checked; `pixelwise layers KEY` and `pixelwise models KEY` list them",
    ),
    Trap(
        "A map of attention taken as a proof of why",
        "`pixelwise explain` covers what a map points at and compares with random places: report"
        " its advantage",
    ),
)
