import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.context_encoding import ContextEncoding

OPTIONS = {"encoding": {"codes": 8}}


def reconstruct(layer, x, at):
    maps = layer.maps(x, at)
    apart = layer.project(x)[:, None] - layer.dictionary.codewords[:, :, None, None]
    residuals = torch.einsum("bkij,bkcij->bkc", maps.spatial, apart)
    gate = layer.expand(layer.norm(residuals).relu().mean(1)).sigmoid()
    torch.testing.assert_close(maps.channel, 1 + gate)
    pixel = x[:, :, at[0], at[1]]
    return (pixel + gate * pixel).relu()


def test_assignments_are_a_distribution_over_the_codewords():
    maps = ContextEncoding(16).maps(torch.randn(2, 16, 6, 5))
    torch.testing.assert_close(maps.spatial.sum(1), torch.ones(2, 6, 5))


def test_gate_is_between_one_and_two_and_the_output_not_negative():
    layer, x = ContextEncoding(16), torch.randn(2, 16, 6, 5)
    gates = layer.maps(x).channel
    assert ((gates > 1) & (gates < 2)).all()
    assert (layer(x) >= 0).all()


def test_output_and_code_from_one_pass():
    layer, x = ContextEncoding(16, codes=4).eval(), torch.randn(2, 16, 6, 5)
    y, code = layer.gated(x)
    assert code.shape == (2, 16)
    assert torch.equal(y, layer(x))
    assert torch.equal(code, layer.code(x))
    layer.dictionary.register_forward_hook(lambda part, given, residuals: 2 * residuals)
    y, code = layer.gated(x)
    torch.testing.assert_close(y, layer(x))
    assert torch.equal(code, layer.plain_code(x))


def test_scales_start_below_zero_and_codewords_small():
    dictionary = ContextEncoding(16, codes=4).dictionary
    assert ((dictionary.scale <= 0) & (dictionary.scale >= -1)).all()
    assert dictionary.codewords.abs().max() <= 64**-0.5


def state(project, project_norm, dictionary, norm, expand):
    found = {f"{project}.weight": torch.randn(6, 6, 1, 1)}
    for name, size in ((project_norm, 6), (norm, 4)):
        found |= {f"{name}.{part}": torch.randn(size) for part in ("weight", "bias")}
        found[f"{name}.running_mean"] = torch.randn(size)
        found[f"{name}.running_var"] = torch.rand(size)
        found[f"{name}.num_batches_tracked"] = torch.tensor(7)
    found |= {f"{dictionary}.codewords": torch.randn(4, 6), f"{dictionary}.scale": torch.randn(4)}
    return found | {f"{expand}.weight": torch.randn(6, 6), f"{expand}.bias": torch.randn(6)}


@pytest.mark.parametrize(
    "names",
    [
        ("encoding.0", "encoding.1", "encoding.3", "encoding.4", "fc.0"),
        ("encoding_project.conv", "encoding_project.bn", "encoding.0", "encoding.1", "fc.0"),
    ],
    ids=["authors", "mmsegmentation"],
)
def test_known_layouts_load(names):
    layer, theirs = ContextEncoding(6, codes=4), state(*names)
    layer.load_reference(theirs)
    project, project_norm, dictionary, norm, expand = names
    assert torch.equal(layer.project[0].weight, theirs[f"{project}.weight"])
    assert torch.equal(layer.project[1].running_mean, theirs[f"{project_norm}.running_mean"])
    assert torch.equal(layer.dictionary.codewords, theirs[f"{dictionary}.codewords"])
    assert torch.equal(layer.norm.weight, theirs[f"{norm}.weight"])
    assert torch.equal(layer.expand.bias, theirs[f"{expand}.bias"])


@pytest.mark.parametrize(
    ("options", "message"),
    [({"codes": 0}, "codes=0: must be at least 1; raise codes")],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ContextEncoding(16, **options)
