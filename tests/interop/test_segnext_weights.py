"""Checkpoints of SegNeXt as mmsegmentation writes them."""

import keys
import pytest
from files import numbers, write

from pixelwise.interop.convert import import_checkpoint

WIDTHS, DEPTHS = (8, 8, 16, 16), (2, 1, 1, 1)


@pytest.mark.parametrize("norm", ["bn", "gn"])
def test_every_number_comes_over(norm, tmp_path):
    state = numbers(keys.segnext(WIDTHS, DEPTHS, norm=norm))
    found = import_checkpoint(write(tmp_path / "a.pth", state))
    config = found.foreign.config
    assert (config.arch, config.backbone, config.num_classes) == ("segnext", "mscan_t", 4)
    assert config.backbone_options == {"widths": WIDTHS, "depths": DEPTHS}
    assert config.options == {
        "width": 32, "ham_width": 64, "bases": 16, "norm_groups": 32 if norm == "gn" else None,
    }  # fmt: skip
    own = {k: v for k, v in found.model.state_dict().items() if not k.endswith("factorise.bases")}
    assert len(own) == len(state)
    assert sum(float(v.double().sum()) for v in state.values()) == pytest.approx(
        sum(float(v.double().sum()) for v in own.values()), rel=1e-5
    )
    assert "draws its bases" in " ".join(found.foreign.differences)


def test_options_of_the_configuration(tmp_path):
    head = "type='LightHamHead', ham_kwargs=dict(MD_R=24, eval_steps=3)"
    head += ", norm_cfg=dict(type='GN', num_groups=8)"
    state = numbers(keys.segnext(WIDTHS, DEPTHS, norm="gn"))
    text = f"model = dict(decode_head=dict({head}))"
    found = import_checkpoint(write(tmp_path / "a.pth", state, meta={"cfg": text}))
    chosen = found.foreign.config.options
    assert (chosen["bases"], chosen["eval_steps"], chosen["norm_groups"]) == (24, 3, 8)
