"""EncNet: sizes as published, options, the presence of classes, other codes' names."""

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.networks.decoders.encnet import EncNet

WIDTHS = [8, 12, 16, 32]


def features(batch=2, side=5):
    torch.manual_seed(0)
    return [torch.randn(batch, c, max(side, 8 * side // c), side) for c in WIDTHS]


@pytest.mark.parametrize(
    ("outputs", "lateral", "count"), [(150, 0, 10_134_412), (59, 2, 17_908_438)]
)
def test_published_sizes(outputs, lateral, count):
    with torch.device("meta"):
        decoder = EncNet([256, 512, 1024, 2048], outputs, lateral=lateral, auxiliary=False)
    assert sum(p.numel() for p in decoder.parameters()) == count


@pytest.mark.parametrize("lateral", [0, 1, 3])
def test_presence_comes_with_the_logits(lateral):
    decoder = EncNet(WIDTHS, 5, lateral=lateral, codes=4).eval()
    maps = features()
    outputs = decoder.with_auxiliary(maps)
    torch.testing.assert_close(outputs.logits, decoder(maps))
    assert outputs.presence.shape == (2, 5)
    code = decoder.context.code(decoder._merged(maps))
    torch.testing.assert_close(outputs.presence, decoder.presence(code))
    assert list(outputs.auxiliary) == ["stage3"]


def test_without_presence_and_auxiliary():
    decoder = EncNet(WIDTHS, 5, presence=False, auxiliary=False)
    outputs = decoder.with_auxiliary(features())
    assert outputs.presence is None
    assert outputs.auxiliary == decoder.auxiliary_weights == {}


def test_more_lateral_maps_than_there_are():
    with pytest.raises(InputError, match=r"lateral=4: must be from 0 to 3"):
        EncNet(WIDTHS, 5, lateral=4)


def test_names_of_mmsegmentation():
    torch.manual_seed(0)
    source, twin = (EncNet(WIDTHS, 5, lateral=2, codes=4).eval() for _ in range(2))
    names = {
        "reduce": "bottleneck",
        "lateral.0": "lateral_convs.0",
        "lateral.1": "lateral_convs.1",
        "merge": "fusion",
        "context.project": "enc_module.encoding_project",
        "auxiliary.layers": "auxiliary_head.convs.0",
    }
    parts = {"0": "conv", "1": "bn"}
    plain = {
        "context.dictionary": "enc_module.encoding.0",
        "context.norm": "enc_module.encoding.1",
        "context.expand": "enc_module.fc.0",
        "presence": "se_layer",
        "classify.1": "conv_seg",
        "auxiliary.layers.4": "auxiliary_head.conv_seg",
    }
    plain |= {f"{o}.{n}": f"{t}.{part}" for o, t in names.items() for n, part in parts.items()}
    state = {}
    for key, value in source.state_dict().items():
        module, _, last = key.rpartition(".")
        state[f"{plain[module]}.{last}"] = value
    twin.load_reference(state)
    maps = features()
    torch.testing.assert_close(twin(maps), source(maps), rtol=0, atol=0)
