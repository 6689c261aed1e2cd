"""Attention of hosts, against all weights computed by hand."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import pixelwise
from pixelwise.errors import InputError
from pixelwise.explanation.host_calls import host_attentions, look
from pixelwise.explanation.host_maps import row
from pixelwise.layers.registry import create

MAPS = {"rollout": False, "deletion": False}
ROWS, COLUMNS, WIDTH = 6, 8, 8


class Attend(nn.Module):
    """Two heads of attention over tokens (1, n, c), in several ways of writing it."""

    def __init__(self, how, mask=None):
        super().__init__()
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.how, self.mask, self.kept = how, mask, None

    def forward(self, x):
        q, k, v = self.qkv(x).view(*x.shape[:2], 3, 2, WIDTH // 2).permute(2, 0, 3, 1, 4)
        scale = 1 / math.sqrt(WIDTH // 2)
        logits = q @ k.mT * scale if self.mask is None else q @ k.mT * scale + self.mask
        self.kept = logits.softmax(-1)
        match self.how:
            case "fused":
                y = F.scaled_dot_product_attention(q, k, v, self.mask)
            case "boolean":
                y = F.scaled_dot_product_attention(q, k, v, self.mask == 0)
            case "explicit":
                logits = (q * scale) @ k.transpose(-2, -1)
                logits = logits if self.mask is None else logits + self.mask
                weights = F.dropout(logits.float().softmax(dim=-1).to(x.dtype), 0.1, self.training)
                y = weights @ v
            case "einsum":
                logits = torch.einsum("bhid,bhjd->bhij", q * scale, k)
                y = torch.einsum("bhij, bhjd -> bihd", logits.softmax(-1), v).transpose(1, 2)
            case "turned":  # softmax over the first of both axes, values before weights
                weights = torch.bmm(k[0], q[0].mT).mul(scale).softmax(dim=-2)
                y = torch.bmm(v[0].mT, weights).mT[None]
        return self.out(y.transpose(1, 2).reshape(x.shape))


class Host(nn.Module):
    """Patches of 4 x 4 pixels, tokens before them, perhaps in another order, and attention."""

    def __init__(self, how, *, prefix=0, order=None, mask=None, blocks=1):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.extra = nn.Parameter(torch.randn(1, prefix, WIDTH))
        self.norm, self.order = nn.LayerNorm(WIDTH), order
        self.attend = nn.ModuleList(Attend(how, mask) for _ in range(blocks))
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, image):
        x = self.patch(image)
        size = x.shape[2:]
        x = x.flatten(2).mT
        x = x if self.order is None else x[:, self.order]
        x = torch.cat([self.extra, x], dim=1)
        for attend in self.attend:
            x = x + attend(self.norm(x))
        x = x[:, self.extra.shape[1] :]
        x = x if self.order is None else x[:, self.order.argsort()]
        return self.head(x).mT.unflatten(2, size)


def host(how, **options):
    torch.manual_seed(0)
    model = Host(how, **options)
    for attend in model.attend:
        nn.init.normal_(attend.qkv.weight)
    return model.eval()


def picture(rows=4 * ROWS, columns=4 * COLUMNS, seed=1):
    return torch.randn(1, 3, rows, columns, generator=torch.Generator().manual_seed(seed))


def same(found, weights, place, prefix=0, order=None):
    """The heads of a map are rows of `weights` (1, heads, n, n)."""
    query = place if order is None else order.tolist().index(place)
    wanted = weights[0, :, prefix + query]
    torch.testing.assert_close(found.apart, wanted[:, :prefix].sum(1).mean().item())
    wanted = wanted[:, prefix:]
    wanted = wanted if order is None else wanted[:, order.argsort()]
    torch.testing.assert_close(found.heads.flatten(1), wanted)
    torch.testing.assert_close(found.spatial, found.heads.mean(0))
    assert found.proof <= 1e-6


@pytest.mark.parametrize("how", ["fused", "explicit", "einsum", "turned"])
@pytest.mark.parametrize("prefix", [0, 3])
def test_each_way_of_writing_it(how, prefix):
    model = host(how, prefix=prefix, blocks=2)
    found = pixelwise.explain(model, picture(), (22, 9), **MAPS)
    assert [(one.name, one.key, one.kind) for one in found.maps] == [
        ("attend.0", "Attend", "pixel"),
        ("attend.1", "Attend", "pixel"),
    ]
    for one, attend in zip(found.maps, model.attend, strict=True):
        assert (one.at, one.size, one.covers) == ((5, 2), (ROWS, COLUMNS), (24, 32))
        same(one, attend.kept, 5 * COLUMNS + 2, prefix)
    assert found.notes == ()


@pytest.mark.parametrize("how", ["fused", "explicit"])
def test_tokens_in_any_order(how):
    order = torch.randperm(ROWS * COLUMNS, generator=torch.Generator().manual_seed(3))
    model = host(how, prefix=1, order=order)
    (one,) = pixelwise.explain(model, picture(), (9, 30), **MAPS).maps
    same(one, model.attend[0].kept, 2 * COLUMNS + 7, 1, order)


@pytest.mark.parametrize("how", ["fused", "boolean", "explicit"])
def test_masks(how):
    count = ROWS * COLUMNS
    shut = torch.rand(count, count, generator=torch.Generator().manual_seed(4)) < 0.3
    mask = torch.zeros(count, count).masked_fill(shut & ~torch.eye(count, dtype=torch.bool), -9e9)
    model = host(how, mask=mask)
    (one,) = pixelwise.explain(model, picture(), (0, 0), **MAPS).maps
    same(one, model.attend[0].kept, 0)
    assert (one.heads[0].flatten()[mask[0] < 0] == 0).all()


class Multihead(nn.Module):
    def __init__(self, first, weights):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.attend = nn.MultiheadAttention(WIDTH, 2, batch_first=first, add_bias_kv=True)
        nn.init.normal_(self.attend.in_proj_weight)
        self.first, self.weights = first, weights

    def forward(self, image):
        x = self.patch(image)
        tokens = x.flatten(2).mT if self.first else x.flatten(2).permute(2, 0, 1)
        y, _ = self.attend(tokens, tokens, tokens, need_weights=self.weights)
        y = tokens + y
        return (y.mT if self.first else y.permute(1, 2, 0)).unflatten(2, x.shape[2:])


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("weights", [True, False])
def test_multihead_attention(first, weights):
    torch.manual_seed(0)
    model = Multihead(first, weights).eval()
    (one,) = pixelwise.explain(model, picture(), (13, 17), **MAPS).maps
    with torch.no_grad():
        x = model.patch(picture()).flatten(2).permute(2, 0, 1)
        x = x.transpose(0, 1) if first else x
        _, wanted = model.attend(x, x, x, average_attn_weights=False)
    row_ = wanted[0, :, 3 * COLUMNS + 4]
    assert (one.name, one.key, one.at) == ("attend", "MultiheadAttention", (3, 4))
    torch.testing.assert_close(one.heads.flatten(1), row_[:, :-1])
    assert one.apart == pytest.approx(row_[:, -1].mean().item(), rel=1e-5)  # the learned key
    assert one.proof <= 1e-6


class Windows(nn.Module):
    """Shifted windows of 4 x 4 on a map that is padded to whole windows, with mask and bias."""

    def __init__(self, shift):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.attend, self.shift = Attend("fused"), shift
        nn.init.normal_(self.attend.qkv.weight)
        self.bias = nn.Parameter(torch.randn(2, 16, 16))

    def forward(self, image):
        x = self.patch(image).permute(0, 2, 3, 1)
        _, rows, columns, _ = x.shape
        down, right = -rows % 4, -columns % 4
        y = F.pad(x, (0, 0, 0, right, 0, down)).roll((-self.shift,) * 2, dims=(1, 2))
        high, wide = y.shape[1] // 4, y.shape[2] // 4
        y = y.view(1, high, 4, wide, 4, WIDTH).transpose(2, 3).reshape(-1, 16, WIDTH)
        zone = torch.zeros(4 * high, 4 * wide)
        if self.shift:
            zone[-4:] += 1
            zone[-self.shift :] += 1
            zone[:, -4:] += 3
            zone[:, -self.shift :] += 3
        zone = zone.view(high, 4, wide, 4).transpose(1, 2).reshape(-1, 16)
        mask = torch.where(zone[:, None] == zone[:, :, None], 0.0, -100.0)
        self.attend.mask = (self.bias + mask[:, None]).to(x.dtype)
        y = self.attend(y)
        y = y.view(1, high, wide, 4, 4, WIDTH).transpose(2, 3).reshape(1, 4 * high, 4 * wide, WIDTH)
        y = y.roll((self.shift,) * 2, dims=(1, 2))[:, :rows, :columns]
        return (x + y).permute(0, 3, 1, 2)


@pytest.mark.parametrize("shift", [0, 2])
@pytest.mark.parametrize("at", [(0, 0), (18, 37), (39, 3), (39, 55)])
def test_windows(shift, at):
    torch.manual_seed(0)
    model = Windows(shift).eval()
    (one,) = pixelwise.explain(model, picture(40, 56), at, **MAPS).maps
    assert one.size == (10, 14)
    row_, column = at[0] // 4, at[1] // 4
    assert one.at == (row_, column)
    down, right = (row_ - shift) % 12, (column - shift) % 16
    weights = model.attend.kept[down // 4 * 4 + right // 4, :, down % 4 * 4 + right % 4]
    wanted = torch.zeros(2, 12, 16)
    for key in range(16):
        i = (down // 4 * 4 + key // 4 + shift) % 12
        j = (right // 4 * 4 + key % 4 + shift) % 16
        wanted[:, i, j] = weights[:, key]
    torch.testing.assert_close(one.heads, wanted[:, :10, :14])
    assert one.apart == pytest.approx(1 - wanted[:, :10, :14].sum((1, 2)).mean().item(), abs=1e-5)
    assert one.proof <= 1e-6


class Reduced(nn.Module):
    """Keys of a coarser grid, as in SegFormer and PVT."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 7, stride=4, padding=3)
        self.reduce, self.norm = nn.Conv2d(WIDTH, WIDTH, 2, stride=2), nn.LayerNorm(WIDTH)
        self.q, self.k, self.v = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        nn.init.normal_(self.q.weight)
        self.kept = None

    def forward(self, image):
        x = self.patch(image)
        tokens = x.flatten(2).mT
        fewer = self.norm(self.reduce(x).flatten(2).mT)
        q, k, v = self.q(tokens), self.k(fewer), self.v(fewer)
        self.kept = (q @ k.mT / math.sqrt(WIDTH)).softmax(-1)
        y = tokens + F.scaled_dot_product_attention(q, k, v)
        return y.mT.unflatten(2, x.shape[2:])


def test_keys_of_a_coarser_grid():
    torch.manual_seed(0)
    model = Reduced().eval()
    (one,) = pixelwise.explain(model, picture(), (22, 9), **MAPS).maps
    assert (one.at, one.size, one.heads.shape) == ((5, 2), (3, 4), (1, 3, 4))
    torch.testing.assert_close(one.heads.flatten(1), model.kept[:, 5 * COLUMNS + 2])
    assert one.proof <= 1e-6


def test_a_wrong_row_is_caught_by_the_proof():
    model = host("fused")
    image = picture()
    with torch.no_grad():
        (call,) = host_attentions(model, image, (24, 32)).calls
        proofs = []

        def see(attention):
            proofs.append(row(attention, call, 9).proof)
            attention.k.add_(0.01 * torch.randn_like(attention.k))
            proofs.append(row(attention, call, 9).proof)

        look(model, image, {1: see})
    assert proofs[0] <= 1e-6 < 1e-4 < proofs[1]


def test_order_and_names_with_layers_of_this_library():
    torch.manual_seed(0)
    model = nn.Sequential(
        create("pam", 3, reduction=1), host("fused"), create("pam", 3, reduction=1)
    ).eval()
    found = pixelwise.explain(model, picture(), (3, 3), deletion=False)
    assert [one.name for one in found.maps] == ["0", "1.attend.0", "2"]
    (one,) = pixelwise.explain(model, picture(), (3, 3), layers=["1.attend.0"], **MAPS).maps
    assert one.key == "Attend"
    with pytest.raises(InputError, match="layer='attend': unknown"):
        pixelwise.explain(model, picture(), (3, 3), layers=["attend"], **MAPS)


def test_nothing_is_left_and_the_forward_is_the_same():
    model = host("fused", prefix=2, blocks=2)
    image = picture()
    with torch.no_grad():
        before, seen = model(image), []
        look(model, image, {2: seen.append})
        assert torch.equal(model(image), before)
        pixelwise.explain(model, image, (3, 3), **MAPS)
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
        assert torch.equal(model(image), before)


def test_rollout_over_attention_of_the_host():
    model = host("fused", blocks=2)
    found = pixelwise.explain(model, picture(), (22, 9), deletion=False)
    first, second = ((a.kept[0].mean(0) + torch.eye(48)) / 2 for a in model.attend)
    wanted = (second @ first)[5 * COLUMNS + 2].view(ROWS, COLUMNS)
    torch.testing.assert_close(found.rollout.spatial, wanted, atol=0.02, rtol=0)
    assert list(found.rollout.parts) == ["attend.1", "attend.0"]


class Mixer(nn.Module):
    """Sums that know no places, before attention."""

    def __init__(self):
        super().__init__()
        self.patch, self.mix = nn.Conv2d(3, WIDTH, 4, stride=4), nn.Linear(48, 48)
        self.attend = Attend("fused")

    def forward(self, image):
        x = self.mix(self.patch(image).flatten(2)).mT
        return (x + self.attend(x)).mT.unflatten(2, (ROWS, COLUMNS))


def test_what_cannot_be_placed_is_refused():
    found = pixelwise.explain(Mixer().eval(), picture(), (3, 3), **MAPS)
    assert found.maps == ()
    assert found.notes[0] == "attend: its tokens cannot be placed on the picture"
    with pytest.raises(InputError, match="layers=attend: its tokens cannot be placed"):
        pixelwise.explain(Mixer().eval(), picture(), (3, 3), layers=["attend"], **MAPS)
