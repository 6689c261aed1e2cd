"""The interlaced network: its published size, its names elsewhere, and its options."""

import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.shared.parts import INPLACE_ABN_EPS
from pixelwise.networks.decoders.isanet import ISANet


def size(**options):
    with torch.device("meta"):
        decoder = ISANet([256, 512, 1024, 2048], 19, **options)
    return sum(p.numel() for p in decoder.parameters())


def test_published_size():
    """Convolutions, norms and classifiers as the authors' widths 512 and 256 give them."""
    step = 2 * (512 * 256 + 256**2 + 4 * 256) + 2 * 512**2 + 2 * 512
    head = 9 * 2048 * 512 + 2 * 512 + 2 * step + 1024 * 512 + 2 * 512 + 513 * 19
    beside = 9 * 1024 * 512 + 2 * 512 + 513 * 19
    assert size() == head + beside
    narrow = 9 * 1024 * 256 + 2 * 256 + 257 * 19
    assert size(value_bias=True, auxiliary_width=256) == head + 2 * 512 + narrow
    assert size(auxiliary=False) == head


def with_inplace_abn(key):
    """The authors' names where a norm and its activation are one module."""
    names = {
        "reduce": "isa_head",
        "attention.fusion": "isa_head.2.conv_bn",
        "classify": "cls_head",
        "auxiliary.layers.4": "dsn_head.3",
        "auxiliary.layers": "dsn_head",
    }
    for step, theirs in (("far", "long_range_sa"), ("near", "short_range_sa")):
        ours, theirs = f"attention.stages.0.{step}", f"isa_head.2.stages.0.{theirs}"
        names |= {f"{ours}.value": f"{theirs}.f_value", f"{ours}.project": f"{theirs}.W"}
        for part, name in (("query", "f_query"), ("keys", "f_key")):
            for i, place in enumerate(("0.0", "0.1", "1.0", "1.1")):
                names[f"{ours}.{part}.{place}"] = f"{theirs}.{name}.{i}"
    ours = next(part for part in names if key.startswith(part + "."))
    return names[ours] + key.removeprefix(ours)


def test_inplace_abn_checkpoints():
    torch.manual_seed(0)
    decoder, twin = (ISANet([16, 32], 3, activation="leaky_relu").eval() for _ in range(2))
    state = {
        with_inplace_abn(key): value
        for key, value in decoder.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    twin.load_reference(state)
    norm, loaded = decoder.reduce[1].weight, twin.reduce[1].weight
    torch.testing.assert_close(loaded, norm + INPLACE_ABN_EPS)
    features = [torch.randn(1, 16, 9, 7), torch.randn(1, 32, 9, 7)]
    expected = decoder.with_auxiliary(features)
    torch.testing.assert_close(twin.with_auxiliary(features), expected, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="activation='leaky_relu'"):
        ISANet([16, 32], 3).load_reference(state)


def test_several_pairs_of_steps():
    decoder = ISANet([32], 3, down_factors=((4, 4), (2, 3))).eval()
    assert decoder([torch.randn(1, 32, 5, 7)]).shape == (1, 3, 5, 7)
    assert decoder.auxiliary_weights == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width=0"),
        ({"auxiliary_width": 0}, "auxiliary_width=0"),
        ({"down_factors": ()}, "down_factors"),
        ({"dropout": 1.0}, r"dropout=1\.0"),
    ],
)
def test_what_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        ISANet([16, 32], 3, **options)
