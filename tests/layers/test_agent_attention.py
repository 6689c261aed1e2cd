import pytest
import torch
import torch.nn.functional as F

from pixelwise.errors import InputError
from pixelwise.layers.agent_attention import AgentAttention

OPTIONS = {"agent": {"heads": 2, "agents": 4, "size": (6, 5)}}
VARIANTS = {
    "agent": [
        {"heads": 4, "agents": 9, "size": 3, "bias": False},
        {"heads": 2, "agents": 4, "size": (4, 6), "reduction": 2},
    ]
}
PER_PIXEL = {"agent"}


def projected(layer, x):
    """Query of the pixels, key and value of what the agents gather from."""
    pixels = x.movedim(1, 3)
    coarse = pixels
    if layer.reduce is not None:
        coarse = layer.norm(layer.reduce(x).movedim(1, 3))
    return [
        part.movedim(3, 1)
        for part in (layer.query(pixels), *layer.keys_values(coarse).chunk(2, dim=3))
    ]


def reconstruct(layer, x, at):
    """Only without a reduction: there, weights of pixels are those of steps, shared."""
    weights = layer.maps(x, at).spatial
    value = projected(layer, x)[2]
    seen = torch.einsum("bmij,bmdij->bmd", weights, value.unflatten(1, (layer.heads, -1)))
    near = layer.local(value)[:, :, at[0], at[1]]
    return layer.expand(seen.flatten(1) + near)


def preference(part, size, head, agent, agents_last):
    """The learned number of one agent for every pixel, from its three parts."""
    rows, columns = (p[head].T if agents_last else p[head] for p in (part.rows, part.columns))
    rows = F.interpolate(rows[agent][None, None], size[0], mode="linear")[0, 0]
    columns = F.interpolate(columns[agent][None, None], size[1], mode="linear")[0, 0]
    table = F.interpolate(part.table[head, agent][None, None], size, mode="bilinear")[0, 0]
    return table + rows[:, None] + columns


def by_head_and_agent(layer, x):
    """The layer as loops over images, heads and agents."""
    query, key, value = projected(layer, x)
    size, coarse, y = x.shape[2:], key.shape[2:], torch.zeros_like(x)
    side, width = layer.side, layer.channels // layer.heads
    for image in range(len(x)):
        for head in range(layer.heads):
            own = slice(head * width, (head + 1) * width)
            q, k, v = (z[image, own] for z in (query, key, value))
            agents = F.adaptive_avg_pool2d(q, side).flatten(1).T  # (a, d)
            asked, gathered = [], []
            for i, agent in enumerate(agents):
                score = torch.einsum("d,dij->ij", agent, k) / width**0.5
                score = score + preference(layer.gather, coarse, head, i, False)
                weights = score.flatten().softmax(0).view(coarse)
                gathered.append((v * weights).sum((1, 2)))
                score = torch.einsum("d,dij->ij", agent, q) / width**0.5
                asked.append(score + preference(layer.ask, size, head, i, True))
            shares = torch.stack(asked).softmax(0)
            y[image, own] = torch.einsum("aij,ad->dij", shares, torch.stack(gathered))
    fine = F.interpolate(value, size, mode="bilinear") if layer.reduce is not None else value
    return layer.expand((y + layer.local(fine)).movedim(1, 3)).movedim(3, 1)


def built(channels, **options):
    torch.manual_seed(2)
    layer = AgentAttention(channels, **options).double()
    with torch.no_grad():
        for part in (layer.gather, layer.ask):
            for parameter in part.parameters():
                parameter.normal_(std=0.7)
    return layer


@pytest.mark.parametrize("options", [OPTIONS["agent"], *VARIANTS["agent"]])
@pytest.mark.parametrize("size", [(4, 6), (7, 5), (2, 2)], ids=str)
def test_loops_over_heads_and_agents_give_the_same(options, size):
    layer = built(8, **options)
    x = torch.randn(2, 8, *size).double()
    torch.testing.assert_close(layer(x), by_head_and_agent(layer, x), rtol=1e-10, atol=1e-10)


def test_maps_are_distributions_of_low_rank():
    layer = built(8, heads=2, agents=4)
    x = torch.randn(1, 8, 6, 5).double()
    rows = [layer.maps(x, (i, j)).spatial for i in range(6) for j in range(5)]
    every = torch.stack(rows, dim=2).flatten(3)[0]  # (m, n, n)
    torch.testing.assert_close(every.sum(2), torch.ones(2, 30).double())
    assert torch.linalg.matrix_rank(every).tolist() == [4, 4]


def test_with_a_reduction_the_pixels_of_a_step_share_its_weight():
    layer = built(8, heads=2, agents=4, reduction=2)
    weights = layer.maps(torch.randn(1, 8, 7, 6).double(), (3, 4)).spatial
    assert weights.shape == (1, 2, 7, 6)
    torch.testing.assert_close(weights.sum((2, 3)), torch.ones(1, 2).double())
    assert (weights[:, :, 6] == 0).all()  # it fills no step
    assert torch.equal(weights[:, :, 0], weights[:, :, 1])
    with pytest.raises(InputError, match="must be at least 2"):
        layer(torch.zeros(1, 8, 1, 6).double())


def test_the_joint_projection_of_the_swin_form_loads():
    layer = AgentAttention(8, heads=2, agents=4)
    theirs = {
        name: value
        for ours, value in layer.state_dict().items()
        for name, own in layer.reference_keys.items()
        if ours == own or ours.startswith(own + ".")
        for name in [name + ours.removeprefix(own)]
        if not name.startswith(("q.", "kv."))
    }
    joint = {"qkv.weight": torch.randn(24, 8), "qkv.bias": torch.randn(24)}
    layer.load_reference(theirs | joint)
    assert torch.equal(layer.query.weight, joint["qkv.weight"][:8])
    assert torch.equal(layer.keys_values.bias, joint["qkv.bias"][8:])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 0}, "heads=0: must be at least 1"),
        ({"heads": 3}, "heads=3: must divide 16 channels"),
        ({"agents": 0}, "agents=0: must be at least 1"),
        ({"agents": 10}, "agents=10: must be a square; take 9 or 16"),
        ({"reduction": 0}, "reduction=0: must be at least 1"),
        ({"size": 0}, "size=0: must be at least 1"),
        ({"size": (8, 3), "reduction": 4}, "size=3: must be at least 4"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        AgentAttention(16, **options)
