"""Places, reports, refusals, and life after an insertion: saving, training, compiling."""

import copy
import multiprocessing
from dataclasses import dataclass

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from pixelwise import create_layer, create_model, explain, insert, list_layers
from pixelwise.errors import InputError
from pixelwise.insertion.insert import cost_at
from pixelwise.insertion.listing import possible_places
from pixelwise.insertion.proof import is_identity
from pixelwise.layers.base import AttentionLayer


class Block(nn.Module):
    def __init__(self, before, after, stride=2):
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, stride, padding=1)
        self.norm = nn.BatchNorm2d(after)

    def forward(self, x):
        return self.norm(self.conv(x)).relu()


class Host(nn.Module):
    """Three stages; `unused` is called, but the output does not depend on it."""

    def __init__(self):
        super().__init__()
        self.stem = Block(3, 8, 4)
        self.stages = nn.ModuleList([Block(8, 8, 1), Block(8, 16), Block(16, 32)])
        self.unused = nn.Conv2d(32, 32, 1)
        self.idle = nn.Conv2d(32, 32, 1)
        self.head = nn.Conv2d(32, 5, 1)

    def forward(self, image):
        x = self.stem(image)
        for stage in self.stages:
            x = stage(x)
        self.unused(x.detach())
        return self.head(x)


@pytest.fixture
def host():
    torch.manual_seed(0)
    return Host()


@pytest.fixture
def picture():
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def moved(report):
    """Insertions that do something, as after training."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in report.module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))


def names(report):
    return [place.name for place in report.places]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("stages.1", ["stages.1"]),
        ("stages.*", ["stages.0", "stages.1", "stages.2"]),
        ("stages.*.norm", ["stages.0.norm", "stages.1.norm", "stages.2.norm"]),
        ("st*", ["stem"]),
        ("**.conv", ["stem.conv", "stages.0.conv", "stages.1.conv", "stages.2.conv"]),
        ("stages.?", ["stages.0", "stages.1", "stages.2"]),
        (Block, ["stem", "stages.0", "stages.1", "stages.2"]),
        ("each stage", ["stages.0", "stages.1", "stages.2"]),
    ],
)
def test_places_are_named_by_pattern_type_or_stage(host, target, expected):
    if target == "st*":  # a part of a name between dots; a list of modules gives no output
        with pytest.raises(InputError, match=r"'stages'.*does not call it"):
            insert(host, {target: "eca"})
        target = "ste*"
    assert names(insert(host, {target: "eca"}, prove=False)) == expected


def test_a_reduction_inside_a_block_ends_no_stage():
    class Reducing(nn.Module):
        def __init__(self):
            super().__init__()
            self.mix, self.pool = nn.Conv2d(8, 8, 1), nn.AvgPool2d(2)

        def forward(self, x):
            return self.mix(x) + nn.functional.interpolate(self.pool(x), x.shape[2:])

    reducing = nn.Sequential(nn.Conv2d(3, 8, 4, 4), Reducing(), nn.Conv2d(8, 8, 2, 2), Reducing())
    assert names(insert(reducing, "each stage=eca", prove=False)) == ["1", "3"]


def test_stages_are_counted_as_create_model_counts_them():
    for options in ({}, {"output_stride": 8}):  # with three stages of one resolution
        host = timm.create_model("test_resnet", **options)
        report = insert(host, "eca@1,stage2,3,4", prove=False)
        assert names(report) == ["layer1", "layer2", "layer3", "layer4"]
        report.remove()
        assert names(insert(host, {3: "eca"}, prove=False)) == ["layer3"]
        with pytest.raises(InputError, match=r"insert='stage6'.*has the stages 1 to 4"):
            insert(host, "eca@6")
    model = create_model("fcn", "test_resnet", num_classes=2)
    assert names(insert(model, "eca@3", prove=False)) == ["backbone.body.layer3"]


def test_without_told_feature_maps_four_resolutions_are_four_stages():
    class Four(nn.Module):
        def __init__(self):
            super().__init__()
            blocks = (Block(w, w + 2, s) for w, s in ((3, 4), (5, 2), (7, 2), (9, 2)))
            self.body = nn.Sequential(*blocks)

        def forward(self, image):
            return self.body(image)

    assert names(insert(Four(), "eca@2,4", prove=False)) == ["body.1", "body.3"]


def test_a_modules_name_goes_before_a_stage():
    plain = nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 8, 2, 2), nn.Conv2d(8, 8, 2, 2))
    assert names(insert(plain, "eca@1", prove=False)) == ["1"]


def test_the_report_says_what_was_added_and_that_nothing_changed(host, picture):
    before = sum(p.numel() for p in host.parameters())
    report = insert(host, {"stages.1": "se", "stages.2.norm": "coord(reduction=4)"})
    assert report.differences == {"eval": 0.0, "train": 0.0}
    assert report.parameters == sum(p.numel() for p in host.parameters()) - before > 0
    assert [line.place.channels for line in report.lines] == [16, 32]
    assert [line.size for line in report.lines] == [(8, 12), (4, 6)]
    assert all(line.flops > 0 for line in report.lines)
    text = str(report)
    assert "2 layers inserted into Host" in text
    assert "stages.2.norm" in text
    assert "0 in eval mode, 0 in train mode" in text
    larger = cost_at(report, (256, 384))
    assert larger.image == (256, 384)
    assert [line.size for line in larger.lines] == [(32, 48), (16, 24)]
    assert larger.host_flops == pytest.approx(16 * report.host_flops)
    assert larger.parameters == report.parameters


def test_text_says_places_and_layers(host):
    report = insert(host, " stages.1 = se,stages.2=gc ")
    assert [(p.name, p.key) for p in report.places] == [("stages.1", "se"), ("stages.2", "gc")]
    report.remove()
    for wrong in ("se", "stages.1=", "=se"):
        with pytest.raises(InputError, match=r"names no place and layer|is no (layer|place)"):
            insert(host, wrong)


@pytest.mark.parametrize("entry", ["se(reduction=2)", {"name": "se", "reduction": 2}])
def test_options_reach_the_layer(host, entry):
    report = insert(host, {"stages.1": entry})
    assert report.attached()[0].layer.reduce.weight.shape[0] == 8


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"stage.1": "se"}, "place='stage.1': unknown place in Host; did you mean 'stages.1'"),
        ({"stages.1": "see"}, "insert='see': unknown layer; did you mean 'se'"),
        ({"stages.1": "gate"}, "insert='gate@stages.1': it takes a second input"),
        ({"stages.1": "spd"}, "insert='spd@stages.1': "),
        ({"stages.1": ("se", {"reduction": 99})}, "insert='se@stages.1': reduction=99"),
        (
            {"stages.1": "se(redaction=2)"},
            "option='redaction': unknown option of layer 'se'; did you mean 'reduction'",
        ),
        (
            {"stages.2": "fpa"},
            "insert='fpa@stages.2': x=(2, 32, 4, 6): rows and columns of layer 'fpa' must be",
        ),
        ({"unused": "se"}, "insert='unused': nothing would be learnt"),
        ({"idle": "se"}, "insert='idle': Host does not call it"),
        ({nn.Linear: "se"}, "insert=Linear: Host has no module of that type"),
        (
            {"stages.1": "se", "stages.*": "gc"},
            "insert='gc@stages.1': there is a layer already, 'se' of 'stages.1'",
        ),
        ({"stages.1": {"reduction": 2}}, "{'reduction': 2} is no layer; give a layer's name"),
        ("se@inner", "insert='inner': the insides of blocks are places of create_model"),
        ("se@3", "insert='stage3': Host has no four stages that could be counted"),
        ("none", "insert='none': nothing to insert"),
        ({}, "nothing to insert"),
        ("missing.safetensors", "missing.safetensors: cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason_and_changes_nothing(host, plan, told):
    keys = list(host.state_dict())
    with pytest.raises(InputError) as error:
        insert(host, plan)
    assert told in str(error.value)
    assert list(host.state_dict()) == keys
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in host.modules())


def test_features_that_are_no_map_are_refused():
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(2))
    flat(torch.zeros(1, 3, 64, 96))
    with pytest.raises(InputError, match=r"insert='1': .*no map of pixels"):
        insert(flat, {"1": "se"})


def test_the_input_is_found_or_asked_for(picture):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, image, *, scale):
            return self.conv(image) * scale

    with pytest.raises(InputError, match="give its input as example="):
        insert(Two(), {"conv": "eca"})
    example = {"image": torch.randn(2, 4, 8, 9), "scale": 2}
    assert insert(Two(), {"conv": "eca"}, example=example).image == (8, 9)
    with pytest.raises(InputError, match="holds no picture"):
        insert(Two(), {"conv": "eca"}, example=(3,))


def test_what_cannot_be_compared_is_no_proof():
    class Odd(nn.Module):
        def __init__(self, wrap):
            super().__init__()
            self.conv, self.wrap = nn.Conv2d(3, 8, 1), wrap

        def forward(self, image):
            return self.wrap(self.conv(image))

    @dataclass
    class Answer:
        logits: torch.Tensor

    class Closed:
        def __init__(self, logits):
            self.hidden = logits

    assert insert(Odd(Answer), {"conv": "pam"}).differences == {"eval": 0.0, "train": 0.0}
    with pytest.raises(InputError, match="no tensor was found in the output of Odd"):
        insert(Odd(Closed), {"conv": "pam"})
    with pytest.raises(InputError, match=r"would not run any more in train mode.*got a batch of 1"):
        insert(Odd(Answer), {"conv": "fpa"}, example=torch.randn(1, 3, 32, 48))
    with pytest.raises(InputError, match="grid=0: must be at least 1"):
        insert(Odd(Answer), {"conv": "pam"}, grid=0)


def test_places_of_like_names_are_two():
    inner = nn.ModuleDict({"b": nn.Conv2d(3, 4, 1)})
    host = nn.ModuleDict({"a": inner, "a__b": nn.Conv2d(4, 4, 1)})
    host.forward = lambda x: host["a__b"](inner["b"](x))
    insert(host, {"a.b": "eca", "a__b": "eca"})
    assert len(host.inserted.attached()) == 2


def test_a_layer_that_needs_several_images_goes_into_a_host_in_train_mode(host):
    assert insert(host.train(), {"stages.1": "bam"}).differences == {"eval": 0.0, "train": 0.0}


def test_the_random_state_modes_and_buffers_of_the_host_stay(host):
    host.stages[1].eval()
    before = copy.deepcopy(host.state_dict())
    modes = [m.training for m in host.modules()]
    torch.manual_seed(7)
    insert(host, {"stages.1": "pam"}).remove()
    assert [m.training for m in host.modules()] == modes
    for name, value in host.state_dict().items():
        assert torch.equal(value, before[name])
    assert all(p.grad is None for p in host.parameters())


def test_dropout_of_an_insertion_is_off_unless_asked_for():
    dropping = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Dropout(0.5))
    report = insert(dropping, {"1": "isa"})
    assert report.differences == {"eval": 0, "train": 0}
    report.remove()
    with pytest.raises(InputError, match="in train mode; a layer drew random numbers"):
        insert(dropping, {"1": "isa(dropout=0.5)"})


def test_saved_insertions_go_into_another_copy_of_the_host(host, picture, tmp_path):
    other = copy.deepcopy(host)
    report = insert(host, {"stages.1": "psa_s", "stages.2": "pam"}, per_channel=True)
    assert report.attached()[0].gain.shape == (16,)
    moved(report)
    file = tmp_path / "insertions.safetensors"
    report.save(file)
    assert [f.name for f in tmp_path.iterdir()] == ["insertions.safetensors"]
    assert file.stat().st_size < 40_000
    assert set(load_file(file)) == set(report.state_dict())
    again = insert(other, str(file))
    assert "trained" in str(again)
    assert torch.equal(host.eval()(picture), other.eval()(picture))
    assert not torch.equal(host(picture), copy.deepcopy(host).train()(picture))
    third = insert(Host(), {"stages.1": "se"})
    with pytest.raises(InputError, match="of other insertions"):
        third.load_state_dict(report.state_dict())
    with pytest.raises(InputError, match="cannot be written"):
        report.save(tmp_path / "missing" / "x.safetensors")
    (tmp_path / "torn.safetensors").write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="cannot be read as saved insertions"):
        insert(Host(), tmp_path / "torn.safetensors")


def test_the_hosts_own_checkpoint_loads_before_and_after(host, picture):
    own = copy.deepcopy(host.state_dict())
    report = insert(host, {"stages.1": "se"})
    moved(report)
    changed = copy.deepcopy(report.state_dict())
    assert list(report.host_state_dict()) == list(own)
    assert host.load_state_dict(own) == ([], [])
    for name, value in report.state_dict().items():
        assert torch.equal(value, changed[name])
    whole = host.state_dict()
    copied = copy.deepcopy(host)
    copied.load_state_dict(whole)
    assert torch.equal(copied.eval()(picture), host.eval()(picture))
    partly = {k: v for k, v in whole.items() if not k.endswith("gain")}
    with pytest.raises(RuntimeError, match="gain"):
        host.load_state_dict(partly)


def test_groups_for_an_optimiser(host, picture):
    report = insert(host, {"stages.1": "psa_s"})
    groups = report.parameter_groups(1e-3, inserted=5.0, host=0.1, weight_decay=0.01)
    assert {(g["name"], g["lr"]) for g in groups} == {("inserted", 5e-3), ("host", 1e-4)}
    listed = [p for group in groups for p in group["params"]]
    assert len(listed) == len({*listed}) == len([*host.parameters()])
    assert all(p.ndim > 1 for g in groups for p in g["params"] if g["weight_decay"])
    frozen = report.parameter_groups(1e-3, host=0.0)
    assert {g["name"] for g in frozen} == {"inserted"}
    assert not host.head.weight.requires_grad
    before = host(picture)
    for _ in range(2):  # at first only the gain has a gradient, then the layer as well
        torch.optim.SGD(frozen).zero_grad()
        host(picture).square().sum().backward()
        torch.optim.SGD(frozen).step()
    assert not torch.equal(host(picture), before)
    assert all(p.grad.any() for p in report.attached()[0].parameters())


def test_two_insertions_go_out_one_by_one(host, picture):
    first = insert(host, {"stages.1": "se"})
    second = insert(host, {"stages.2": "gc"})
    with pytest.raises(InputError, match=r"insert='gc@stages\.1': there is a layer already"):
        insert(host, {"stages.1": "gc"})
    first.remove()
    assert [a.place.name for a in second.attached()] == ["stages.2"]
    assert host.stages[2]._forward_hooks
    assert not host.stages[1]._forward_hooks
    second.remove()
    assert "inserted" not in dict(host.named_children())
    with pytest.raises(InputError, match="nothing is inserted any more"):
        second.state_dict()


def test_a_deep_copy_has_insertions_of_its_own(host, picture):
    report = insert(host, {"stages.1": "se"})
    twin = copy.deepcopy(host)
    before = twin.eval()(picture)
    moved(report)
    assert torch.equal(twin(picture), before)
    assert not torch.equal(host.eval()(picture), before)


def test_tokens_follow_the_size_of_the_picture():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 8, stride=8)
            self.mix = nn.Linear(8, 8)
            self.first = nn.Parameter(torch.ones(1, 3, 8))

        def forward(self, image):
            x = self.patch(image).flatten(2).mT
            return self.mix(torch.cat([self.first.expand(len(x), 3, 8), x], dim=1))

    tokens = Tokens().eval()
    report = insert(tokens, {"mix": "coord"})
    layout = report.places[0].layout
    assert (layout.kind, layout.grid, layout.prefix) == ("tokens", 8, 3)
    moved(report)
    picture = torch.randn(1, 3, 16, 40)
    inside = tokens.mix(torch.cat([tokens.first, tokens.patch(picture).flatten(2).mT], dim=1))
    report.remove()
    plain = tokens(picture)
    assert torch.equal(inside[:, :3], plain[:, :3])
    assert not torch.equal(inside[:, 3:], plain[:, 3:])
    fixed = insert(tokens, {"mix": "coord"}, grid=(8, 12))
    with pytest.raises(InputError, match="13 tokens do not fill a grid of 8 rows"):
        tokens(picture)
    fixed.remove()
    with pytest.raises(InputError, match="fewer than a grid of 50 x 50"):
        insert(tokens, {"mix": "coord"}, grid=(50, 50))


def test_pixels_that_do_not_count_in_the_end_are_refused():
    class First(nn.Module):
        """Of the tokens only the first, which stands for no pixel, goes on after `last`."""

        def __init__(self):
            super().__init__()
            self.patch = nn.Conv2d(3, 8, 16, stride=16)
            self.early = nn.Linear(8, 8)
            self.last = nn.Identity()
            self.head = nn.Linear(8, 2)

        def forward(self, image):
            x = self.early(self.patch(image).flatten(2).mT)
            x = torch.cat([x.mean(1, keepdim=True), x], dim=1)
            return self.head(self.last(x)[:, 0])

    first = First()
    insert(first, {"early": "coord"}).remove()
    with pytest.raises(InputError, match="insert='last': nothing would be learnt"):
        insert(first, {"last": "coord"})


def test_features_that_can_be_read_in_two_ways_are_refused():
    cube = nn.Sequential(nn.Conv2d(3, 16, 4, stride=4), nn.ReLU())
    with pytest.raises(InputError, match="channels first or last"):
        insert(cube, {"1": "eca"}, size=(64, 64))
    assert insert(cube, {"1": "eca"}, size=(64, 96)).places[0].layout.kind == "first"


def test_saved_insertions_need_a_host_like_their_own(host, tmp_path):
    file = tmp_path / "insertions.safetensors"
    insert(host, {"stages.1": "se"}).save(file)
    with pytest.raises(InputError, match=r"stages\.1': there is a layer already"):
        insert(host, file)
    wide = Host()
    wide.stages[1] = Block(8, 32)
    wide.stages[2] = Block(32, 32)
    with pytest.raises(InputError, match="is for 16 channels, but Host has 32"):
        insert(wide, file)
    with pytest.raises(InputError, match="Sequential has no such features"):
        insert(nn.Sequential(nn.Conv2d(3, 16, 3)), file)


def test_a_sequential_host_stays_one(picture):
    host = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 2, 1))
    before = host(picture)
    insert(host, {"1": "psa_p"})
    assert torch.equal(host(picture), before)


@pytest.mark.slow
def test_compiled_and_exported():
    with multiprocessing.get_context("spawn").Pool(1) as unchecked:  # without shape checks
        unchecked.apply(compile_and_export)


def compile_and_export():
    torch.manual_seed(0)
    host, picture = Host(), torch.randn(2, 3, 64, 96)
    moved(insert(host, {"stages.1": "psa_s", "stages.2": "pam"}))
    expected = host.eval()(picture)
    compiled = torch.compile(host, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(picture), expected)
    height, width = torch.export.Dim("height", min=2), torch.export.Dim("width", min=2)
    exported = torch.export.export(
        host, (picture,), dynamic_shapes=({2: 32 * height, 3: 32 * width},)
    ).module()
    for other in (picture, torch.randn(2, 3, 96, 64)):
        torch.testing.assert_close(exported(other), host(other))


def test_several_processes_and_wrapped_hosts(host, picture, tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        insert(host, {"stages.1": "psa_s"})
        wrapped = nn.parallel.DistributedDataParallel(host)
        wrapped(picture).sum().backward()
        assert host.inserted["stages__1"].gain.grad.any()
        with pytest.raises(InputError, match="insert first, then wrap"):
            insert(wrapped, {"stages.2": "se"})
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.parametrize("key", list_layers())
def test_what_is_no_identity_gets_a_gradient_behind_its_gain(key):
    """A layer that does nothing to maps without negative values would starve behind a gain."""
    torch.manual_seed(0)
    layer = create_layer(key, 16)
    if not isinstance(layer, AttentionLayer) or not layer.keeps_shape:
        return
    x = torch.randn(2, 16, *(2 * [max(8, layer.limits.least)]))
    assert is_identity(layer, x) == is_identity(layer, x.abs())


def test_the_list_of_places_can_be_inserted_at(host):
    text = possible_places(host)
    for line in ("stages.*.norm", "stages.1", "unused"):
        assert f"\n{line} " in text
    assert "idle" not in text
    assert text.count("ends a stage") == 3


def test_half_precision_and_autocast(host, picture):
    with torch.autocast("cpu", torch.bfloat16):
        before = host.eval()(picture)
    report = insert(host, {"stages.1": "psa_s", "stages.2": "pam"})
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(host(picture), before)
    report.remove()
    half = insert(host.bfloat16(), {"stages.1": "psa_s", "stages.2": "pam"})
    assert half.differences == {"eval": 0.0, "train": 0.0}
    assert {p.dtype for p in half.module.parameters()} == {torch.bfloat16}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda(host, picture):
    report = insert(host.cuda(), {"stages.1": "psa_s", "stages.2": "pam"})
    assert report.differences == {"eval": 0.0, "train": 0.0}
    assert {p.device.type for p in report.module.parameters()} == {"cuda"}
    found = explain(host, picture[:1], at=(20, 30))
    assert [one.name for one in found.maps] == ["stages.1", "stages.2"]
    assert found.maps[1].spatial.sum().item() == pytest.approx(1, abs=1e-5)


def test_a_host_that_pools_by_attention_from_a_parameter():
    host = timm.create_model("test_vit3", num_classes=2).eval()
    report = insert(host, "blocks.0=se", prove=False)
    assert report.host_flops > 0
