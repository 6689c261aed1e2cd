"""Any network computes what it did after an insertion, to the last bit, until it is trained."""

import copy
from fnmatch import fnmatchcase

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from hosts import HOSTS, image
from pixelwise import insert

LAYERS = ("psa_s", "se", "gc", "pam", "coord", "crisscross")
"""Gates of pixels and channels, batch norms, pairs of pixels; three start as the identity."""
IDENTITIES = ("gc", "pam", "crisscross")
TYPES = (torch.float32, torch.bfloat16)


class Case:
    """A host, and what it computes without any insertion."""

    def __init__(self, name):
        self.host = HOSTS[name]
        self.network = self.host.make()
        self.state = copy.deepcopy(self.network.state_dict())
        self.expected = {dtype: self.run(self.network, dtype) for dtype in TYPES}
        self.answer = self.ask(self.network)
        self.structure = structure(self.network)

    def insert(self, layer, **options):
        plan = {place.pattern: layer for place in self.host.places}
        return insert(self.network, plan, **options)

    def run(self, network, dtype):
        """The output's bytes in eval mode and for two pictures in train mode, from one seed."""
        found = []
        if dtype != torch.float32:
            network = copy.deepcopy(network).to(dtype)
        for training in (False, True):
            torch.manual_seed(5)
            with torch.no_grad():
                output = network.train(training)(image(self.host, 1 + training, dtype))
            found.append([(t.shape, raw(t)) for t in tensors(output)])
        network.eval().load_state_dict(self.state, strict=True)
        return found

    def ask(self, network):
        """What the network says of one picture."""
        with torch.no_grad():
            return tensors(network.eval()(image(self.host, 1)))


def tensors(output):
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def raw(tensor):
    return tensor.flatten().view(torch.uint8).numpy().tobytes()


def structure(network):
    """Modules by name, with their hooks."""
    return {
        name: (module, [*module._forward_hooks.values()], [*module._forward_pre_hooks.values()])
        for name, module in network.named_modules()
    }


@pytest.fixture(scope="module", params=HOSTS)
def case(request):
    return Case(request.param)


@pytest.fixture
def untouched(case):
    """After the test the host must be what it was."""
    yield
    assert structure(case.network) == case.structure
    assert list(case.network.state_dict()) == list(case.state)
    assert all(map(torch.equal, case.network.state_dict().values(), case.state.values()))
    assert all(map(torch.equal, case.ask(case.network), case.answer))


@pytest.mark.slow
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.usefixtures("untouched")
def test_a_host_keeps_its_output_until_it_is_trained(case, layer):
    network = case.network
    inserted = case.insert(layer, example=image(case.host, 2), prove=False)
    try:
        assert all((each.gain is None) == (layer in IDENTITIES) for each in inserted.attached())
        for dtype in TYPES:
            assert case.run(network, dtype) == case.expected[dtype], dtype
        state = inserted.host_state_dict()
        assert list(state) == list(case.state)
        assert all(map(torch.equal, state.values(), case.state.values()))

        learnt = list(inserted.module.parameters())
        optimiser = torch.optim.Adam(learnt, lr=0.1)
        output = [t for t in tensors(network(image(case.host, 1))) if t.requires_grad]
        sum((t * torch.randn_like(t)).sum() for t in output).backward(inputs=learnt)
        for each in inserted.attached():
            reached = [p.grad.any() for p in each.parameters() if p.grad is not None]
            assert any(reached), each.place.name
        optimiser.step()
        assert not all(map(torch.equal, case.ask(network), case.answer))
    finally:
        inserted.remove()


@pytest.mark.slow
@pytest.mark.usefixtures("untouched")
def test_insertions_are_saved_alone_and_put_into_another_copy(case, tmp_path):
    inserted = case.insert("psa_s", size=case.host.size)
    assert inserted.differences == {"eval": 0.0, "train": 0.0}
    for place in inserted.places:
        wanted = next(w for w in case.host.places if fnmatchcase(place.name, w.pattern))
        assert (place.layout.kind, place.layout.prefix) == (wanted.kind, wanted.prefix)
        assert place.channels == wanted.channels
    for line in inserted.lines:
        wanted = next(w for w in case.host.places if fnmatchcase(line.place.name, w.pattern))
        assert wanted.grid in (None, line.size)
    with torch.no_grad():
        for parameter in inserted.module.parameters():
            parameter.normal_(std=0.3)
    trained = case.ask(case.network)
    assert not all(map(torch.equal, trained, case.answer))
    inserted.save(tmp_path / "layers.safetensors")
    inserted.remove()
    again = insert(case.network, tmp_path / "layers.safetensors", size=case.host.size)
    try:
        assert all(map(torch.equal, case.ask(case.network), trained))
    finally:
        again.remove()


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
