"""A tensor too few, one too many, one of another shape: three refusals, and no network."""

from pathlib import Path

import keys
import pytest
import torch
from files import narrow, numbers, write

from pixelwise.errors import InputError
from pixelwise.interop.checkpoint import Checkpoint
from pixelwise.interop.convert import fit, import_checkpoint, recognise
from pixelwise.networks.segmenter import Segmenter

LAYOUTS = {
    "mmseg danet": narrow("danet_r50-d8"),
    "mmseg gcnet": narrow("gcnet_r50-d8"),
    "mmseg ocrnet": narrow("ocrnet_r50-d8"),
    "danet": keys.danet(),
    "encnet": keys.encnet(lateral=True),
    "emanet": keys.emanet(),
    "psanet": keys.psanet(),
    "ccnet": keys.ccnet(),
    "isanet": keys.isanet(inplace=False),
    "isanet inplace": keys.isanet(),
    "hrnet": keys.hrnet_seg(),
    "psa": keys.psa(),
    "attention unet": keys.unet(),
}
MODELS = {}


def attempt(shapes):
    """Recognise and fit on the meta device; networks are built once."""
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
        foreign = recognise(Checkpoint(Path("a.pth"), state))
        key = str(foreign.config)
        if key not in MODELS:
            MODELS[key] = Segmenter(foreign.config)
        return fit(MODELS[key], foreign)


def sampled(shapes, offset):
    return list(shapes)[offset :: max(len(shapes) // 8, 1)]


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYOUTS)
def test_any_tensor_missing_or_misshapen_or_added_is_refused(name):
    shapes = LAYOUTS[name]
    assert attempt(shapes) >= len(shapes) - 2
    for key in sampled(shapes, 1):
        if "pretrained.fc" in key:
            continue
        with pytest.raises(InputError, match=r"missing|lacks|incomplete|left over"):
            attempt({k: s for k, s in shapes.items() if k != key})
    for key in sampled(shapes, 2):
        wrong = (7, *shapes[key][1:]) if shapes[key] else (7,)
        if "pretrained.fc" in key or shapes[key] == (1,) or key.endswith("gamma"):
            continue
        with pytest.raises(InputError, match=r"of another shape|is none that|must be|needs"):
            attempt(shapes | {key: wrong})
    for key in sampled(shapes, 3):
        with pytest.raises(InputError, match=r"1 left over: .*foreign"):
            attempt(shapes | {key.rpartition(".")[0] + ".foreign": (3,)})
    with pytest.raises(InputError, match=r"1 left over: foreign\.weight"):
        attempt(shapes | {"foreign.weight": (3,)})


def test_the_lists_name_file_key_and_count(tmp_path):
    state = numbers(LAYOUTS["mmseg danet"])
    del state["decode_head.pam_out_conv.bn.bias"]
    state["backbone.layer2.0.conv2.weight"] = torch.zeros(16, 16, 5, 5)
    for i in range(14):
        state[f"decode_head.more.{i}"] = torch.zeros(2)
    with pytest.raises(InputError) as told:
        import_checkpoint(write(tmp_path / "danet.pth", state))
    text = str(told.value)
    for piece in (
        "danet.pth: recognised as mmsegmentation",
        "1 missing in the file: decoder.position_expand.1.bias",
        "14 left over: decode_head.more.0,",
        "and 4 more",
        "1 of another shape: backbone.body.layer2.0.conv2.weight (16, 16, 5, 5) for (16, 16, 3, 3)",
    ):
        assert piece in text, text
    assert "\n" not in text


def test_a_counter_that_alone_is_missing_is_missing():
    shapes = keys.ccnet()
    counted = dict(shapes)
    for key in shapes:
        if key.endswith(".running_mean"):
            counted[key.replace("running_mean", "num_batches_tracked")] = ()
    assert attempt(counted) == len(counted)
    with pytest.raises(InputError, match=r"missing in the file: backbone\.body\.bn1\.num_batches"):
        attempt({k: s for k, s in counted.items() if k != "bn3.num_batches_tracked"})
