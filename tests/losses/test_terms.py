"""Sums of losses as text."""

import pytest

from pixelwise.errors import InputError
from pixelwise.losses import LOSSES, read_loss


@pytest.mark.parametrize("name", LOSSES)
def test_a_name_alone(name):
    (term,) = read_loss(name)
    assert (term.weight, term.name, term.parameters) == (1, name, {})


def test_a_sum_with_factors_and_parameters():
    text = " ce(smoothing=.1) +0.5 * tversky( alpha=0.3 , beta=7e-1)+1e-2*boundary+2*focal(gamma=0)"
    found = [(term.weight, term.name, dict(term.parameters)) for term in read_loss(text)]
    assert found == [
        (1, "cross_entropy", {"smoothing": 0.1}),
        (0.5, "tversky", {"alpha": 0.3, "beta": 0.7}),
        (0.01, "boundary", {}),
        (2, "focal", {"gamma": 0}),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty; write a loss, such as"),
        ("  ", "is empty"),
        ("dise", "unknown loss 'dise'; did you mean 'dice'?"),
        ("auto+dice", "unknown loss 'auto'"),
        ("交叉熵", "unknown loss '交叉熵'"),
        ("Dice", "unknown loss 'Dice'; did you mean 'dice'?"),
        ("ce+", "'the end' where a loss must stand"),
        ("+ce", "'+' where a loss must stand"),
        ("ce++dice", "'+' where a loss must stand"),
        ("ce dice", "'dice' where '+' must stand"),
        ("ce,dice", "',' where '+' must stand"),
        ("ce-dice", "a factor must be above 0"),
        ("-0.5*dice", "a factor must be above 0"),
        ("ce+-1*dice", "a factor must be above 0"),
        ("0*dice", "the factor=0: must be from 1e-06 to 1e+06; raise it"),
        ("1e9*dice", "must be from 1e-06 to 1e+06; lower it"),
        ("1e999*dice", "must be from 1e-06 to 1e+06; lower it"),
        ("0.5dice", "'0' where a loss must stand"),
        ("0.5", "'*' must follow the factor 0.5"),
        ("0.5*", "'the end' where a loss must stand"),
        ("dice*0.5", "a factor stands before its loss"),
        ("1,5*dice", "'*' must follow the factor 1"),
        ("focal(gamma=2", "'(' after focal has no partner"),
        ("focal gamma=2)", "'gamma' where '+' must stand"),
        ("dice)", "')' has no partner"),
        ("(dice)", "'(' where a loss must stand"),
        ("focal()", "')' where a parameter of focal must stand"),
        ("focal(2)", "'2' where a parameter of focal must stand"),
        ("focal(gama=2)", "unknown parameter 'gama' of focal; did you mean 'gamma'?"),
        ("lovasz(x=2)", "unknown parameter 'x' of lovasz; it has none"),
        ("focal(gamma)", "'=' must follow gamma"),
        ("focal(gamma=two)", "gamma=two: must be a number"),
        ("focal(gamma=nan)", "gamma=nan: must be a number"),
        ("focal(gamma=-1)", "gamma=-1: must be from 0 to 100; raise it"),
        ("focal(gamma=1,gamma=2)", "gamma twice"),
        ("ce(smoothing=1)", "smoothing=1: must be from 0 to 0.999; lower it"),
        ("ohem(threshold=0)", "threshold=0: must be from 1e-06 to 1; raise it"),
        ("tversky(alpha=0,beta=0)", "alpha=0, beta=0: nothing would be an error"),
        ("ce\n+dice(", "'the end' where a parameter of dice must stand"),
        ("x" * 9999, "where a loss must stand"),
        ("ce x" + "x" * 9999, "where '+' must stand"),
        ("focal(gamma=x" + "x" * 9999, "must be a number"),
        ("1" * 9999, "where a loss must stand"),
        ("ce" + "+ce" * 9000 + "+", "'the end' where a loss must stand"),
    ],
)
def test_faults_are_one_line(text, told):
    with pytest.raises(InputError) as caught:
        read_loss(text)
    line = str(caught.value)
    assert told in line
    assert line.startswith("loss=")
    assert "\n" not in line
    assert len(line) < 300
