"""What hosts do to themselves after an insertion: the effect stays, or one line says what is wrong.

Every check is of a layer that has an effect: gains are moved, and the outputs differ without it.
"""

import copy
import io
import multiprocessing
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.fx import symbolic_trace
from torch.fx.experimental.optimization import fuse
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pixelwise import insert, verify
from pixelwise.errors import InputError
from pixelwise.insertion.settling import LayerSkipped

PICTURE = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


class ConvNorm(nn.Module):
    """A convolution, a norm and an activation that can be made one, each in its own way."""

    def __init__(self, width, out, act=nn.SiLU):
        super().__init__()
        self.conv = nn.Conv2d(width, out, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(out)
        self.act = act()
        self.passing = False

    def forward(self, x):
        return self.act(self.conv(x) if self.passing else self.bn(self.conv(x)))

    def forward_fuse(self, x):
        return self.act(self.conv(x))


class Net(nn.Module):
    def __init__(self, act=nn.SiLU):
        super().__init__()
        self.stem = ConvNorm(3, 8, act)
        self.body = nn.Sequential(ConvNorm(8, 8, act), ConvNorm(8, 8, act))
        self.head = nn.Conv2d(8, 2, 1)

    def features(self, x):
        return self.body(self.stem(x))

    def forward(self, x):
        return self.head(self.features(x))


def inserted(plan, build=Net, **options):
    """A host whose layers have an effect, their report, and its output."""
    torch.manual_seed(0)
    host = build(**options)
    with torch.no_grad():
        for module in host.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.bias.normal_()
    host.eval()
    bare = host(PICTURE)
    report = insert(host, plan)
    with torch.no_grad():
        for one in report.attached():
            one.gain.fill_(2.0)
        expected = host(PICTURE)
    assert difference(bare, expected) > 0.01
    return host, report, expected


def difference(expected, found):
    """The largest difference as a part of the output's range."""
    gap = (found - expected).detach().abs().max()
    return float(gap / (expected.detach().max() - expected.detach().min()))


def kept(expected, host):
    with torch.no_grad():
        return difference(expected, host(PICTURE)) < 1e-4


def fused(block):
    return fuse_conv_bn_eval(block.conv, block.bn)


def delete(block):
    block.conv = fused(block)
    del block.bn
    block.forward = block.forward_fuse


def new_convolution(block):
    old = fused(block)
    block.conv = nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1)
    block.conv.load_state_dict(old.state_dict(), strict=True)
    delattr(block, "bn")
    block.forward = block.forward_fuse


def identity(block):
    block.conv, block.bn = fused(block), nn.Identity()


def in_place(block):
    one = fused(block)
    block.conv.weight.data.copy_(one.weight)
    block.conv.bias = one.bias
    block.bn = nn.Identity()


def passing(block):
    block.conv = fused(block)
    block.forward = block.forward_fuse


def flag(block):
    block.conv, block.passing = fused(block), True


FUSERS = [delete, new_convolution, identity, in_place, passing, flag]


@pytest.mark.parametrize("fuse", FUSERS)
@pytest.mark.parametrize("act", [nn.SiLU, nn.Identity, lambda: nn.ReLU(inplace=True)])
def test_a_fused_norm_leaves_its_layer_behind_the_convolution(fuse, act):
    host, report, expected = inserted(
        "body.0.bn=psa_s, body.1.bn=se(reduction=2), body.1.act=eca", act=act
    )
    for block in (host.stem, *host.body):
        fuse(block)
    assert kept(expected, host)
    assert kept(expected, host)
    assert kept(expected, copy.deepcopy(host))
    assert all(a.calls for a in report.attached())


@pytest.mark.parametrize("fuse", FUSERS[:4])
def test_parts_that_are_called_by_themselves_keep_their_layers(fuse):
    host, _, _ = inserted("body.0.bn=psa_s")
    expected = host.features(PICTURE)
    for block in host.body:
        fuse(block)
    assert difference(expected, host.features(PICTURE)) < 1e-4


@pytest.mark.parametrize("fuse", FUSERS[:4])
def test_a_layer_between_what_is_made_one_is_refused(fuse):
    host, _, _ = inserted("body.0.conv=psa_s")
    fuse(host.body[0])
    with pytest.raises(InputError, match=r"insert='body\.0\.conv': the host made 'body\.0\.bn'"):
        host(PICTURE)


def pickled(host):
    return pickle.loads(pickle.dumps(host))


def saved(host):
    file = io.BytesIO()
    torch.save(host, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("way", [copy.deepcopy, pickled, saved])
@pytest.mark.parametrize("fuse", FUSERS)
def test_copies_are_fused_too(way, fuse):
    host, _, expected = inserted("body.*.bn=psa_s")
    twin = way(host)
    assert kept(expected, twin)
    for block in twin.body:
        fuse(block)
    assert kept(expected, twin)
    assert kept(expected, way(twin))
    assert kept(expected, host)


def test_norms_that_are_replaced_get_their_layer_back():
    host, _, expected = inserted("body.0.bn=psa_s, body.1.bn=se(reduction=2)")
    host = nn.SyncBatchNorm.convert_sync_batchnorm(host)
    assert isinstance(host.body[0].bn, nn.SyncBatchNorm)
    assert kept(expected, host)


def test_hooks_that_are_cleared_come_back():
    host, _, expected = inserted("body.0.bn=psa_s")
    for module in host.modules():
        module._forward_hooks.clear()
    assert kept(expected, host)


def test_a_layer_that_is_skipped_is_told_once():
    class Net2(Net):
        def features(self, x):
            return self.stem(x) if self.passing else super().features(x)

        passing = False

    host, _, _ = inserted("body.0.bn=psa_s", Net2)
    host.passing = True
    with pytest.warns(
        LayerSkipped, match=r"insert='body\.0\.bn': a forward of Net2 did not"
    ) as told:
        host(PICTURE)
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        host(PICTURE)


def test_a_table_says_what_takes_part():
    host, report, _ = inserted("body.0.bn=psa_s, body.1.bn=eca")
    assert report.verify(PICTURE).ok
    for block in host.body:
        delete(block)
    found = report.verify(PICTURE)
    assert found.ok
    assert [(s.stands, s.calls, s.gain) for s in found.states] == [
        ("body.0.conv", 1, 2.0),
        ("body.1.conv", 1, 2.0),
    ]
    assert "behind body.0.conv now" in str(found)
    assert "2 of 2 layers take part in Net" in str(found)
    del host.body[0].act
    host.body[0] = nn.Identity()
    lost = verify(host, PICTURE)
    assert not lost.ok
    assert [state.state for state in lost.states] == ["lost", "takes part"]
    assert "the host took this module away" in str(lost)
    assert [s.state for s in report.verify(host=Net()).states] == ["lost", "lost"]
    assert report.verify(host=copy.deepcopy(report.host).train()).states[1].state == "takes part"
    assert str(verify(Net())) == "nothing is inserted into Net"
    assert not verify(Net()).ok


def test_a_layer_without_effect_yet_takes_part():
    report = insert(Net(), "body.0.bn=psa_s")
    assert report.verify().ok
    assert "no effect yet" in str(report.verify())


def test_parts_of_a_host_lack_the_weights():
    host, _, _ = inserted("body.0.bn=psa_s")
    part = nn.Sequential(host.stem, host.body)
    found = verify(part, PICTURE)
    assert not found.ok
    assert "its weights are no part of this network" in str(found)


def test_insertions_go_from_one_network_into_another():
    host, report, expected = inserted("body.0.bn=psa_s")
    for plan in (report, host, nn.ModuleDict({"net": host})):
        fresh = Net().eval()
        with torch.no_grad():
            for name, value in fresh.state_dict().items():
                value.copy_(host.state_dict()[name])
        assert insert(fresh, plan).verify().ok
        assert kept(expected, fresh)
    with pytest.raises(InputError, match=r"plan=Net: it holds insertions of 0 networks; give"):
        insert(Net(), Net())


class Flat(nn.Module):
    """No parts between the host and what is folded."""

    def __init__(self):
        super().__init__()
        self.first, self.bn = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.last = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.last(self.bn(self.first(x)))


@pytest.mark.parametrize("place", ["first", "bn"])
def test_a_norm_that_is_folded_elsewhere_is_not_lost_in_silence(place):
    host, _, _ = inserted(f"{place}=psa_s", Flat)
    other = nn.Sequential(fuse_conv_bn_eval(host.first, host.bn), host.last)
    with pytest.raises(InputError, match=rf"insert='{place}': .*folded into .*; "):
        other(PICTURE)


@pytest.mark.parametrize("trace", [symbolic_trace, fuse])
def test_traces_by_symbols_are_refused(trace):
    host, _, _ = inserted("bn=psa_s", Flat)
    with pytest.raises(InputError, match=r"insert='bn': torch.fx would leave out .*; take"):
        trace(host)


def test_what_trains_by_itself_is_refused_with_what_to_give():
    class Trainer(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = Net()

        def train(self, data=None):
            raise AssertionError

    said = r"host=Trainer: its train\(\) trains.*; give its .model"
    with pytest.raises(InputError, match=said):
        insert(Trainer(), "4=psa_s")


@pytest.mark.parametrize("source", ["report", "host", "file", "state"])
def test_another_copy_of_the_host_gets_the_layers_with_their_weights(source, tmp_path):
    host, report, expected = inserted("body.0.bn=psa_s, body.1=se(reduction=2)")
    report.save(tmp_path / "attention.safetensors")
    fresh = Net().eval()
    fresh.load_state_dict(report.host_state_dict())
    given = {
        "report": report,
        "host": host,
        "file": tmp_path / "attention.safetensors",
        "state": host.state_dict(),
    }
    insert(fresh, given[source])
    assert kept(expected, fresh)
    with pytest.raises(InputError, match="plan=Net: it holds insertions of 0 networks; "):
        insert(Net(), Net())


@pytest.mark.slow
@pytest.mark.parametrize("fuse", [delete, identity])
def test_a_fused_host_is_exported_with_its_layers(fuse):
    host, _, expected = inserted("body.*.bn=eca")
    for block in host.body:
        fuse(block)
    assert kept(expected, torch.export.export(host, (PICTURE,)).module())


@pytest.mark.slow
def test_compiled_hosts_keep_their_layers():
    with multiprocessing.get_context("spawn").Pool(1) as unchecked:  # without shape checks
        unchecked.apply(compile_hosts)


def compile_hosts():
    torch.manual_seed(0)
    host = Net().eval()
    compiled = torch.compile(host, backend="eager")
    with torch.no_grad():
        bare = compiled(PICTURE)
        report = insert(host, "body.0.bn=eca")
        report.attached()[0].gain.fill_(2.0)
        assert kept(host(PICTURE), compiled)
        report.remove()
        assert kept(bare, compiled)
    for fold in (delete, identity):
        torch.compiler.reset()
        host, _, expected = inserted("body.*.bn=eca")
        for block in host.body:
            fold(block)
        assert kept(expected, torch.compile(host, backend="eager", fullgraph=True))
    host, _, _ = inserted("body.0.bn=eca")
    passing(host.body[0])
    with pytest.raises(Exception, match="run the host once before it is compiled"):
        torch.compile(host, backend="eager")(PICTURE)
