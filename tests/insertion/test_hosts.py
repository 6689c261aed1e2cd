"""Any network keeps its output at an insertion, and its insertion through what is done to it.

Rows of studies/insertion_hosts.csv are measured again: some layers of some networks always, one
layer of every network in the slow tests and a few newer ones, and all by
`python studies/insertion_hosts.py`.
"""

import copy
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import torch
from survival import (
    FEW,
    IDENTITIES,
    LAYERS,
    LONG,
    NEWER,
    SHORT,
    VISIBLE,
    Case,
    ask,
    layers_of,
    tensors,
    verdict,
)
from torch import nn

from hosts import HOSTS, image
from pixelwise import insert
from pixelwise.errors import InputError

ROOT = Path(__file__).parents[2]
SAMPLE = [
    *(("sequential", "deform"), ("own", "pam"), ("timm vit", "isa"), ("compact", "ema")),
    ("timm vit", "axial"),
]
EXPORTED = list(HOSTS)[::24]
"""Hosts that are compiled and exported again."""


@pytest.fixture(scope="module")
def study():
    """The module that measures and writes the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "studies")
        patch.setattr(sys, "path", [*sys.path])
        import insertion_hosts

        yield insertion_hosts
        for name in ("insertion_hosts", "machine"):
            del sys.modules[name]


@pytest.fixture(scope="module")
def written(study):
    """Rows of the study by host and layer."""
    return {(row["host"], row["layer"]): row for row in study.read()}


def check(row, told):
    """A row is right, and as it is in the CSV."""
    assert (row["start, eval"], row["start, train"]) == (0, 0)
    assert row["keys"] != "changed"
    assert row["effect"] > VISIBLE / 5
    for way in (*SHORT, *LONG):
        if way in row:
            found = verdict(way, row[way])
            assert found in ("kept", "stop", "host"), (way, row[way])
            if told.get(way):
                before = float(told[way]) if told[way][0].isdigit() else told[way]
                assert found == verdict(way, before), (way, row[way])


@pytest.mark.parametrize(("host", "layer"), SAMPLE)
def test_an_insertion_lives_through_what_is_done_to_its_host(host, layer, written):
    check(Case(HOSTS[host]).row(layer, SHORT), written[host, layer])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the hosts' and the exporters' own
@pytest.mark.parametrize(("number", "host"), list(enumerate(HOSTS)))
def test_insertions_live_through_what_is_done_to_their_host(number, host, study, written):
    case = Case(HOSTS[host])
    exported = study.turns(host)[:1] if host in EXPORTED else ()
    newer = NEWER[FEW.index(host) :: 2 * len(FEW)] if host in FEW else ()
    for layer in {LAYERS[number % len(LAYERS)], *exported, *newer}:
        long = LONG if layer in exported else ()
        check(case.row(layer, (*SHORT, *long)), written.get((host, layer), {}))


def test_the_page_is_written_from_the_rows_and_no_host_is_left_out(study):
    rows = study.read()
    assert study.PAGE.read_text(encoding="utf-8") == study.page(rows)
    found = [(row["host"], row["layer"]) for row in rows]
    assert found == [(host, layer) for host in HOSTS for layer in layers_of(host)]


class Beside(nn.Module):
    """A network with a part that is scripted, which takes no hooks."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16))
        self.scripted = torch.jit.script(nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU()))

    def forward(self, batch):
        return self.scripted(self.stem(batch["picture"] if isinstance(batch, dict) else batch))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_scripted_parts_and_pictures_in_a_mapping():
    network = Beside()
    batch = {"picture": torch.randn(2, 3, 64, 96)}
    inserted = insert(network, "stem.1=se", example=(batch,))
    assert inserted.differences == {"eval": 0.0, "train": 0.0}
    assert inserted.verify((batch,)).ok
    inserted.remove()
    with pytest.raises(InputError, match=r"insert='scripted\.0': it is scripted"):
        insert(network, "scripted.0=se")


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (nn.Sequential(nn.LazyConv2d(16, 3)), "lazy"),
        (torch.compile(nn.Sequential(nn.Conv2d(3, 16, 3)), backend="eager"), "compiled"),
    ],
)
def test_hosts_that_are_not_there_yet_or_not_any_more_are_refused(host, message):
    with pytest.raises(InputError, match=message):
        insert(host, "0=se")


def test_a_trace_by_torch_fx_stops_with_one_line():
    network = HOSTS["compact"].make().eval()
    insert(network, "stages.1.bn=se", prove=False)
    with pytest.raises(InputError, match=r"insert='stages\.1\.bn': torch\.fx would leave out"):
        torch.fx.symbolic_trace(network)


def structure(network):
    """Modules by name, with their hooks."""
    return {
        name: (module, [*module._forward_hooks.values()], [*module._forward_pre_hooks.values()])
        for name, module in network.named_modules()
    }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", HOSTS)
def test_insertions_are_proven_saved_alone_trained_and_taken_out(name, tmp_path):
    host = HOSTS[name]
    network = host.make().eval()
    state = copy.deepcopy(network.state_dict())
    pictures = image(host, 1)
    answer = ask(network, pictures)
    made = structure(network)
    half = copy.deepcopy(network).bfloat16()
    rounded = ask(half, pictures.bfloat16())
    plan = {place.pattern: "psa_s" for place in host.places}

    inserted = insert(network, plan, size=host.size)
    assert inserted.differences == {"eval": 0.0, "train": 0.0}
    for line in inserted.lines:
        place = line.place
        wanted = next(w for w in host.places if fnmatchcase(place.name, w.pattern))
        assert (place.layout.kind, place.layout.prefix) == (wanted.kind, wanted.prefix)
        assert place.channels == wanted.channels
        assert wanted.grid in (None, line.size)
    insert(half, plan, example=image(host, 2).bfloat16(), prove=False)
    assert all(map(torch.equal, ask(half, pictures.bfloat16()), rounded))

    output = [t for t in tensors(network(pictures)) if t.requires_grad]
    learnt = list(inserted.module.parameters())
    sum((t * torch.randn_like(t)).sum() for t in output).backward(inputs=learnt)
    for each in inserted.attached():
        assert any(p.grad.any() for p in each.parameters() if p.grad is not None), each.place.name

    with torch.no_grad():
        for parameter in learnt:
            parameter.normal_(std=0.3)
    trained = ask(network, pictures)
    assert not all(map(torch.equal, trained, answer))
    inserted.save(tmp_path / "layers.safetensors")
    inserted.remove()
    again = insert(network, tmp_path / "layers.safetensors", size=host.size)
    assert all(map(torch.equal, ask(network, pictures), trained))
    again.remove()

    assert structure(network) == made
    assert list(network.state_dict()) == list(state)
    assert all(map(torch.equal, network.state_dict().values(), state.values()))
    assert all(map(torch.equal, ask(network, pictures), answer))


@pytest.mark.parametrize("layer", [*LAYERS, *NEWER])
def test_layers_that_are_the_identity_at_the_start_get_no_gain(layer):
    inserted = insert(HOSTS["compact"].make(), f"stages.0.act={layer}", prove=False)
    assert (inserted.attached()[0].gain is None) == (layer in IDENTITIES)


def test_what_reads_a_modules_output_aside_reads_it_with_attention():
    """transformers keeps the stages of SegFormer for its head by hooks of its own."""
    host = HOSTS["hf segformer"]
    network = host.make().eval()
    network(image(host, 1))
    inserted = insert(network, "segformer.stages.0=se", prove=False)
    seen = {}
    network.segformer.stages[0].register_forward_hook(lambda m, x, y: seen.update(stage=y))
    network.decode_head.register_forward_pre_hook(lambda m, x: seen.update(head=x[0][0]))
    with torch.no_grad():
        inserted.attached()[0].gain.fill_(1.0)
        network(image(host, 1))
    assert torch.equal(seen["head"], seen["stage"])
