import multiprocessing

import pytest
import torch
from torch import distributed

from pixelwise.errors import InputError
from pixelwise.layers.expectation_maximisation_attention import ExpectationMaximisationAttention
from pixelwise.layers.registry import create

# The contract calls layers twice in training: bases that move would change the answer.
OPTIONS = {"ema": {"bases": 8, "gradient": True, "momentum": 1.0}}
VARIANTS = {
    "ema": [
        {"bases": 5, "momentum": 0.7, "gradient": True},
        {"bases": 5, "steps": 1, "variant": "mmsegmentation"},
        {"bases": 5, "gradient": True, "variant": "mmsegmentation", "norm_momentum": 0.2},
    ]
}
PER_PIXEL = {"ema"}


def reconstruct(layer, x, at):
    weights = layer.maps(x, at).spatial
    value = torch.einsum("oc,bcij->boij", layer.project.weight, x)
    value = value + layer.project.bias[:, None, None]
    rebuilt = torch.einsum("bkij,bcij->bc", weights, value).relu()
    y = layer.expand(rebuilt[:, :, None, None])[:, :, 0, 0]
    return (x[:, :, at[0], at[1]] + y).relu()


def layer_and_input(**options):
    torch.manual_seed(0)
    layer = create("ema", 12, bases=5, **options).double()
    return layer, torch.randn(3, 12, 6, 5).double()


def test_by_default_no_gradient_passes_through_the_steps():
    layer, x = layer_and_input()
    assert [name for name, p in layer.named_parameters() if not p.requires_grad] == [
        "project.weight",
        "project.bias",
    ]
    layer.eval()
    x.requires_grad_()
    found = torch.autograd.grad(layer(x).cos().sum(), x)[0]
    value = x.detach().requires_grad_()
    with torch.no_grad():
        weights, bases, _ = layer.fit(x)
        rebuilt = (bases @ weights).relu().view(x.shape)
    wanted = torch.autograd.grad((value + layer.expand(rebuilt)).relu().cos().sum(), value)[0]
    torch.testing.assert_close(found, wanted)
    layer.train()(x).square().sum().backward()
    learning = [p for p in layer.parameters() if p.requires_grad]
    assert all(torch.isfinite(p.grad).all() for p in learning)


def test_bases_move_in_training_alone():
    layer, x = layer_and_input(momentum=0.7)
    before = layer.bases.clone()
    layer.eval()(x)
    layer.fit(x)
    layer.train().fit(x)
    assert torch.equal(layer.bases, before)
    mean = layer.fit(x)[1].mean(0)
    layer(x)
    torch.testing.assert_close(layer.bases, 0.7 * before + 0.3 * mean)


def test_mmsegmentation_normalises_the_mean_before_it_is_averaged_in():
    layer, x = layer_and_input(variant="mmsegmentation")
    before, mean = layer.bases.clone(), layer.fit(x)[1].mean(0)
    layer(x)
    moved = 0.9 * before + 0.1 * torch.nn.functional.normalize(mean, dim=0)
    torch.testing.assert_close(layer.bases, moved)


def test_bases_may_move_before_the_backward_pass():
    layer, x = layer_and_input(gradient=True)
    y = layer(x) + layer(x)
    y.sum().backward()
    assert torch.isfinite(layer.project.weight.grad).all()


def test_one_image_with_channels_last_has_the_gradient_of_any_other():
    layer, x = layer_and_input(gradient=True, momentum=1.0)
    g = torch.randn_like(x[:1])
    found = []
    for image in (x[:1].clone(), x[:1].to(memory_format=torch.channels_last)):
        image.requires_grad_()
        found += torch.autograd.grad(layer(image), image, g)
    torch.testing.assert_close(*found)


def test_bases_start_as_directions():
    layer = create("ema", 12, bases=5)
    torch.testing.assert_close(layer.bases.norm(dim=0), torch.ones(5))


@pytest.mark.slow
def test_bases_move_when_compiled():
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # shapes are not checked there
        compiled, eager, left = pool.apply(compiled_and_eager)
    torch.testing.assert_close(compiled, eager)
    assert left == 0


def compiled_and_eager():
    found = []
    for change in (lambda module: torch.compile(module, fullgraph=True, backend="aot_eager"), None):
        layer, x = layer_and_input(gradient=True)
        run = change(layer) if change else layer
        run(x).square().sum().backward()
        run(x)
        layer.eval()
        before = layer.bases.clone()
        run(x)
        left = (layer.bases - before).abs().max().item()
        found.append([layer.bases.clone(), layer.expand[0].weight.grad])
    return *found, left


def picture():
    return torch.randn(4, 8, 6, 5, generator=torch.Generator().manual_seed(1)).double()


def small():
    torch.manual_seed(0)
    return ExpectationMaximisationAttention(8, bases=3).double()


def work(rank, folder, results):
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2
    )
    layer = small()
    layer(picture()[2 * rank : 2 * rank + 2])
    distributed.destroy_process_group()
    results.put((rank, layer.bases.numpy()))


@pytest.mark.slow
def test_bases_are_averaged_over_processes(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    results = spawn.SimpleQueue()
    processes = [spawn.Process(target=work, args=(rank, tmp_path, results)) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    found = [torch.from_numpy(results.get()[1]) for _ in processes]
    alone = small()
    alone(picture())
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[0], alone.bases, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "names",
    [
        ("mu", "conv1", "conv2.0", "conv2.1"),
        ("ema_module.bases", "ema_mid_conv.conv", "ema_out_conv.conv", "ema_out_conv.bn"),
    ],
    ids=["authors", "mmsegmentation"],
)
def test_known_layouts_load(names):
    bases, project, conv, norm = names
    theirs = {
        bases: torch.randn(1, 6, 4),
        f"{project}.weight": torch.randn(6, 6, 1, 1),
        f"{project}.bias": torch.randn(6),
        f"{conv}.weight": torch.randn(6, 6, 1, 1),
        f"{norm}.num_batches_tracked": torch.tensor(7),
    }
    for part in ("weight", "bias", "running_mean", "running_var"):
        theirs[f"{norm}.{part}"] = torch.rand(6)
    layer = ExpectationMaximisationAttention(6, bases=4)
    layer.load_reference(theirs)
    assert torch.equal(layer.bases, theirs[bases][0])
    assert torch.equal(layer.project.bias, theirs[f"{project}.bias"])
    assert torch.equal(layer.expand[0].weight, theirs[f"{conv}.weight"])
    assert torch.equal(layer.expand[1].running_var, theirs[f"{norm}.running_var"])


def test_momentum_of_the_norm():
    layer = create("ema", 8)
    assert layer.expand[1].momentum == pytest.approx(3e-4)
    assert create("ema", 8, norm_momentum=0.1).expand[1].momentum == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bases": 0}, "bases=0: must be at least 1"),
        ({"steps": 0}, "steps=0: must be at least 1"),
        ({"momentum": 1.5}, "momentum=1.5: must be from 0 to 1"),
        ({"norm_momentum": -0.1}, "norm_momentum=-0.1: must be from 0 to 1"),
        ({"variant": "paper"}, "variant='paper': must be one of 'code', 'mmsegmentation'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        ExpectationMaximisationAttention(16, **options)
