import pytest
import torch

from pixelwise.errors import InputError
from pixelwise.layers.hamburger import Hamburger
from pixelwise.layers.registry import create

OPTIONS = {"hamburger": {"bases": 6}}
VARIANTS = {
    "hamburger": [
        {"bases": 5, "groups": 4, "train_steps": 2, "eval_steps": 3},
        {"bases": 7, "norm": False, "groups": 2, "train_steps": 1, "eval_steps": 0},
    ]
}
PER_PIXEL = set()


def updated(this, value, other):
    """One update of `this` (p, k), where value (p, q) is to be this times other^T."""
    return this * (value @ other) / (this @ (other.T @ other) + 1e-6)


def factorised(layer, z, bases, steps):
    """Bases and coefficients of one group of one image: z is (d, n)."""
    weights = (z.T @ bases).softmax(1)
    for _ in range(steps):
        weights = updated(weights, z.T, bases)
        bases = updated(bases, z, weights)
    return bases, updated(weights, z.T, bases)


def by_group(layer, x):
    """Bases and coefficients of every image and group."""
    z = torch.einsum("oc,bcij->boij", layer.project.weight[:, :, 0, 0], x)
    z = (z + layer.project.bias[:, None, None]).relu().flatten(2)
    start = layer.factorise.bases
    return [
        [
            factorised(layer, part, start[group], layer.factorise.eval_steps)
            for group, part in enumerate(image.chunk(len(start)))
        ]
        for image in z
    ]


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial[:, :, at[0], at[1]]
    rebuilt = [
        torch.cat([bases @ c for (bases, _), c in zip(groups, own.chunk(len(groups)), strict=True)])
        for groups, own in zip(by_group(layer, x), weights, strict=True)
    ]
    y = layer.expand(torch.stack(rebuilt)[:, :, None, None])[:, :, 0, 0]
    return (x[:, :, at[0], at[1]] + y).relu()


def layer_and_input(**options):
    torch.manual_seed(0)
    layer = create("hamburger", 12, bases=5, **options).double().eval()
    return layer, torch.randn(3, 12, 6, 5).double()


@pytest.mark.parametrize("groups", [1, 3])
def test_maps_are_the_coefficients_of_each_group(groups):
    layer, x = layer_and_input(groups=groups)
    wanted = torch.stack(
        [torch.cat([c.T for _, c in image]).view(-1, 6, 5) for image in by_group(layer, x)]
    )
    found = layer.maps(x).spatial
    torch.testing.assert_close(found, wanted)
    assert (found >= 0).all()


def test_more_steps_fit_better():
    errors = []
    for steps in (0, 1, 3, 9):
        layer, x = layer_and_input(eval_steps=steps)
        z = layer.project(x).relu()
        errors.append((layer.factorise(z) - z).norm().item())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.8 * errors[0]


def test_training_and_evaluation_take_their_own_steps():
    layer, x = layer_and_input(train_steps=2, eval_steps=4)
    other, _ = layer_and_input(train_steps=9, eval_steps=2)
    z = layer.project(x).relu()
    torch.testing.assert_close(layer.train().factorise(z), other.factorise(z))
    assert not torch.allclose(layer.eval().factorise(z), other.factorise(z))


def test_bases_are_the_same_in_each_layer_and_stay():
    layer, x = layer_and_input()
    torch.manual_seed(9)
    other = Hamburger(12, bases=5).double()
    before = layer.factorise.bases.clone()
    assert torch.equal(other.factorise.bases, before)
    torch.testing.assert_close(before.norm(dim=1), torch.ones(1, 5).double())
    assert (before >= 0).all()
    layer.train()(x)
    assert torch.equal(layer.factorise.bases, before)
    assert torch.equal(layer.eval()(x), layer(x))


@pytest.mark.parametrize(
    ("draw", "moves_in_training", "moves_in_eval"),
    [("once", False, False), ("training", True, False), ("always", True, True)],
)
def test_when_bases_are_drawn(draw, moves_in_training, moves_in_eval):
    layer, x = layer_and_input(draw=draw)
    assert torch.equal(layer(x), layer(x)) != moves_in_eval
    layer.train()
    assert torch.equal(layer(x), layer(x)) != moves_in_training


def test_bases_may_be_given_for_each_image():
    layer, x = layer_and_input(groups=2)
    given = torch.rand(3, 2, 6, 5).double()
    wanted = []
    for image, bases in zip(x, given, strict=True):
        layer.factorise.bases = bases
        wanted.append(layer(image[None]))
    layer.factorise.bases = given.requires_grad_()
    found = layer(x)
    torch.testing.assert_close(found, torch.cat(wanted))
    (gradient,) = torch.autograd.grad(found.sum(), given)
    assert gradient.abs().amax((1, 2, 3)).min() > 0


@pytest.mark.parametrize("with_bases", [False, True])
def test_checkpoints_with_and_without_bases_load(with_bases):
    layer = Hamburger(8, bases=3)
    theirs = {
        "ham_in.conv.weight": torch.randn(8, 8, 1, 1),
        "ham_in.conv.bias": torch.randn(8),
        "ham_out.conv.weight": torch.randn(8, 8, 1, 1),
        "ham_out.bn.num_batches_tracked": torch.tensor(2),
    }
    for part in ("weight", "bias", "running_mean", "running_var"):
        theirs[f"ham_out.bn.{part}"] = torch.rand(8)
    bases = layer.factorise.bases.clone()
    if with_bases:
        bases = theirs["ham.bases"] = torch.rand(1, 8, 3)
    layer.load_reference(theirs)
    assert torch.equal(layer.factorise.bases, bases)
    assert torch.equal(layer.expand[0].weight, theirs["ham_out.conv.weight"])


def test_a_map_of_zeros_has_finite_gradients():
    layer, x = layer_and_input()
    with torch.no_grad():
        layer.project.bias.zero_()
    x = torch.zeros_like(x).requires_grad_()
    layer.train()(x).sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in layer.parameters())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bases": 0}, "bases=0: must be at least 1"),
        ({"groups": 0}, "groups=0: must be at least 1"),
        ({"groups": 3}, "groups=3: must divide channels=16; choose another"),
        ({"train_steps": -1}, "train_steps=-1: must be at least 0"),
        ({"eval_steps": -1}, "eval_steps=-1: must be at least 0"),
        ({"draw": "never"}, "draw='never': must be one of 'once', 'training', 'always'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        Hamburger(16, **options)
