"""What one types: names of cases, sizes, forms."""

import pytest

from pixelwise.benchmarks.cases import Case, cases, parse_case
from pixelwise.benchmarks.peers import check_installed
from pixelwise.benchmarks.settings import BenchSettings
from pixelwise.errors import InputError
from pixelwise.layers.registry import available


def test_options_are_read_as_yaml():
    found = parse_case("isa:down_factors=[[2, 3], [4, 4]],fuse=false,dropout=0.5,activation=relu")
    assert found.key == "isa"
    assert found.options == {
        "down_factors": ((2, 3), (4, 4)),
        "fuse": False,
        "dropout": 0.5,
        "activation": "relu",
    }


def test_a_layer_is_meant_before_a_network_of_the_same_name():
    assert not parse_case("psanet").is_network
    assert parse_case("network/psanet") == Case("network/psanet", "psanet", {}, is_network=True)
    assert parse_case("danet").is_network
    assert parse_case("DANet").key == "danet"
    assert parse_case("CoordAtt:reduction=8") == Case(
        "coord:reduction=8", "coord", {"reduction": 8}
    )


def test_no_names_are_all_layers_and_the_non_local_modes():
    found = cases([])
    assert {case.key for case in found} == set(available())
    modes = [case.options.get("mode") for case in found if case.key == "nonlocal"]
    assert modes == [None, "gaussian", "dot_product", "concatenation"]
    assert all(case.is_network for case in cases(["networks"]))


def test_each_case_is_taken_once():
    assert [case.name for case in cases(["pam", "se", "pam"])] == ["pam", "se"]


def test_sizes_and_defaults():
    given = BenchSettings(size="1x512x64x128, 2x8x5x7").sizes
    assert given == ((1, 512, 64, 128), (2, 8, 5, 7))
    assert parse_case("pam").at(()) == ((1, 512, 64, 128),)
    assert parse_case("danet").at(()) == ((1, 3, 512, 1024),)
    assert parse_case("nonlocal:mode=concatenation").at(given) == ((1, 512, 16, 32), (2, 8, 1, 1))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pan2", "did you mean 'pan'"),
        ("network/pam", "unknown model"),
        ("splat", "is not in this version; nearest here: 'se', 'eca'"),
        ("Mask2Former", "is not in this version; nearest here: 'fpn'"),
        ("PSA:reduction=2", "name='PSA': could be 'psa_s'"),
        ("gc:reductoin=4", "did you mean 'reduction'"),
        ("gc:reduction", "NAME:option=value"),
        ("gc:", "NAME:option=value"),
        ("gc:[", "NAME:option=value"),
    ],
)
def test_wrong_names(name, told):
    with pytest.raises(InputError, match="(?s)" + told.replace("[", r"\[")):
        parse_case(name)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"size": "512x64x128"}, "IMAGESxCHANNELSxHEIGHTxWIDTH"),
        ({"size": "0x3x4x5"}, "IMAGESxCHANNELSxHEIGHTxWIDTH"),
        ({"mode": "forwards"}, "did you mean 'forward'"),
        ({"dtype": "float8"}, "dtype='float8': must be one of"),
        ({"device": "gpu"}, "cpu, cuda or cuda:N"),
        ({"repeats": 0}, "repeats=0: must be from"),
        ({"forms": "attention"}, "OPERATION=FORM"),
    ],
)
def test_wrong_settings(settings, told):
    with pytest.raises(InputError, match=told):
        BenchSettings(**settings)


def test_forms_to_compare_with():
    assert BenchSettings(against="none").compared == ()
    assert BenchSettings(compile=True).compared == ("plain", "compiled")
    assert BenchSettings(against="plain, authors-form").compared == ("plain", "authors-form")
    check_installed("plain")
    check_installed("authors-form")
    with pytest.raises(InputError, match="did you mean 'timm'"):
        check_installed("tim")


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr("pixelwise.benchmarks.peers.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install onedl-mmsegmentation"):
        check_installed("mmseg")
