"""Which transformer the weights of a file are: its options, read off the tensors.

Names inside are those of the file; the backbones of this package know them.
"""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from pixelwise.errors import InputError
from pixelwise.interop.backbones import Body, Names
from pixelwise.networks.backbones import mit as mit_backbone
from pixelwise.networks.backbones import mscan as mscan_backbone

STAGES = range(4)
COARSEST_FIRST = "its joined maps are ordered from the coarsest: the columns are reordered"
"""What is told of SegFormer's head under other names than mmsegmentation's."""


def _published(
    kind: type, variants: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[tuple[Any, Any], str]]:
    """The default options of a backbone; and (widths, blocks) of each stage -> its name here."""
    parameters = inspect.signature(kind).parameters
    usual = {name: parameter.default for name, parameter in parameters.items()}
    known = {
        ((usual | options)["widths"], (usual | options)["depths"]): name
        for name, options in variants.items()
    }
    return usual, known


class _Code(NamedTuple):
    """How a code base names what tells the options; {i} is the stage, {j} its number from 1."""

    embedding: str
    blocks: str
    expand: str
    reduce: str
    eps: float


CODES = (
    _Code("layers.{i}.0.projection", "layers.{i}.1", "ffn.layers.0", "attn.sr", 1e-6),
    _Code("patch_embed{j}.proj", "block{j}", "mlp.fc1", "attn.sr", 1e-6),
    _Code("patch_embeddings.{i}.proj", "block.{i}", "mlp.dense1", "attention.self.sr", 1e-5),
)
"""mmsegmentation, the authors of SegFormer, Hugging Face."""


def mit(state: Mapping[str, Tensor], names: Names, heads: Sequence[int] | None = None) -> Body:
    """A mix transformer under the names of mmsegmentation, its authors or Hugging Face.

    Raises:
        InputError: A tensor that tells a width is missing.
    """
    inside = {inner: state[key] for key, inner in names.items()}
    usual, published = _published(mit_backbone.MixTransformer, mit_backbone.variants())
    code = next((c for c in CODES if f"{c.embedding}.weight".format(i=0, j=1) in inside), CODES[0])

    def shape(name: str, i: int) -> tuple[int, ...]:
        return _shape(inside, f"{name}.weight".format(i=i, j=i + 1))

    widths = tuple(shape(code.embedding, i)[0] for i in STAGES)
    depths = tuple(_count(inside, code.blocks.format(i=i, j=i + 1)) for i in STAGES)
    reductions = tuple(_reduction(inside, code, i) for i in STAGES)
    expansion = shape(f"{code.blocks}.0.{code.expand}", 0)[0] // widths[0]
    options: dict[str, Any] = {}
    known = published.get((widths, depths))
    if known is None:
        options |= {"widths": widths, "depths": depths}
    for option, value in (
        ("heads", tuple(heads or usual["heads"])),
        ("reductions", reductions),
        ("expansion", expansion),
        ("eps", code.eps),
    ):
        if value != usual[option]:
            options[option] = value
    name = known or "mit_b0"
    title = name.replace("mit_b", "MiT-B") if known else f"a MiT of {depths} blocks"
    told = () if heads else ("heads of the stages: 1, 2, 5 and 8, as published",)
    return Body(name, title, options, names, shape(code.embedding, 0)[1], told)


def mscan(state: Mapping[str, Tensor], names: Names) -> Body:
    """MSCAN under its authors' names, which mmsegmentation shares.

    Raises:
        InputError: A tensor that tells a width is missing.
    """
    inside = {inner: state[key] for key, inner in names.items()}
    embeddings = ["patch_embed1.proj.3", *(f"patch_embed{i}.proj" for i in (2, 3, 4))]
    widths = tuple(_shape(inside, f"{name}.weight")[0] for name in embeddings)
    depths = tuple(_count(inside, f"block{i + 1}") for i in STAGES)
    hidden = (_shape(inside, f"block{i + 1}.0.mlp.fc1.weight")[0] for i in STAGES)
    expansions = tuple(h // w for h, w in zip(hidden, widths, strict=True))
    gate = "block1.0.attn.spatial_gating_unit"
    square = _shape(inside, f"{gate}.conv0.weight")[2]
    count = sum(bool(re.fullmatch(rf"{re.escape(gate)}\.conv\d_1\.weight", k)) for k in inside)
    strips = tuple(_shape(inside, f"{gate}.conv{i}_1.weight")[3] for i in range(count))
    usual, published = _published(mscan_backbone.MSCAN, mscan_backbone.variants())
    known = published.get((widths, depths))
    options: dict[str, Any] = {} if known else {"widths": widths, "depths": depths}
    for option, value in (
        ("expansions", expansions),
        ("kernel_size", square),
        ("strips", strips),
    ):
        if value != usual[option]:
            options[option] = value
    title = known.replace("mscan_", "MSCAN-").upper() if known else f"MSCAN of {depths} blocks"
    bands = _shape(inside, "patch_embed1.proj.0.weight")[1]
    return Body(known or "mscan_t", title, options, names, bands)


VIT = (
    ("patch_embed.projection", "model.patch_embed.proj"),
    ("attn.attn.in_proj_", "attn.qkv."),
    ("attn.attn.out_proj", "attn.proj"),
    ("ln1", "norm1"),
    ("ln2", "norm2"),
    ("ffn.layers.0.0", "mlp.fc1"),
    ("ffn.layers.1", "mlp.fc2"),
)
"""mmsegmentation's names of a plain transformer -> timm's."""
SAMPLED = (
    "for pictures of another size than it was built for, timm resamples its positions with a filter"
    " and mmsegmentation without: logits differ a little"
)


def vit(state: Mapping[str, Tensor], names: Names, config: Mapping[str, Any]) -> Body:
    """A plain transformer under mmsegmentation's names, as timm's vit_base_patch16_224 is.

    Raises:
        InputError: It normalises its last map, or a tensor that tells an option is missing.
    """
    inside = {inner: state[key] for key, inner in names.items()}
    if "ln1.weight" in inside:
        raise InputError(
            "backbone=VisionTransformer: normalises its last map, which timm's feature maps lack;"
            " take a checkpoint with final_norm=False"
        )
    width, bands, side, _ = _shape(inside, "patch_embed.projection.weight")
    depth = _count(inside, "layers")
    hidden = _shape(inside, "layers.0.ffn.layers.0.0.weight")[0]
    places = _shape(inside, "pos_embed")[1] - int("cls_token" in inside)
    heads = config.get("num_heads") or max(width // 64, 1)
    options: dict[str, Any] = {"img_size": side * round(places**0.5)}
    if config.get("out_indices") is not None:
        options["out_indices"] = list(config["out_indices"])
    for option, value, published in (
        ("patch_size", side, 16),
        ("embed_dim", width, 768),
        ("depth", depth, 12),
        ("num_heads", heads, 12),
        ("mlp_ratio", hidden / width, 4.0),
        ("norm_eps", (config.get("norm_cfg") or {}).get("eps", 1e-5), 1e-6),
    ):
        if value != published:
            options[option] = value
    renamed = {}
    for key, inner in names.items():
        name = re.sub(r"^layers\.", "model.blocks.", inner)
        for theirs, ours in VIT:
            name = name.replace(theirs, ours)
        renamed[key] = name if name.startswith("model.") else f"model.{name}"
    told = () if config.get("num_heads") else (f"{heads} heads, one per 64 channels",)
    title = f"a plain transformer of {depth} blocks"
    return Body("vit_base_patch16_224", title, options, renamed, bands, (SAMPLED, *told))


def _shape(inside: Mapping[str, Tensor], key: str) -> tuple[int, ...]:
    if key not in inside or inside[key].ndim < 2:
        raise InputError(f"{key}: missing, and widths are read from it; get the whole file")
    return tuple(inside[key].shape)


def _count(inside: Mapping[str, Tensor], blocks: str) -> int:
    found = {int(m[1]) for key in inside if (m := re.match(rf"{re.escape(blocks)}\.(\d+)\.", key))}
    return max(found, default=0) + 1


def _reduction(inside: Mapping[str, Tensor], code: _Code, i: int) -> int:
    weight = inside.get(f"{code.blocks}.0.{code.reduce}.weight".format(i=i, j=i + 1))
    return 1 if weight is None or weight.ndim != 4 else weight.shape[2]
