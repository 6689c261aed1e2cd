"""Key lists of other people's checkpoints, written from their descriptions: key -> shape.

`W` is the width of the first stage (64 in what is published), `LAYERS` the blocks of each stage.
"""

from itertools import pairwise

Shapes = dict[str, tuple[int, ...]]


def conv(name, outputs, inputs, kernel=1, bias=False) -> Shapes:
    found: Shapes = {f"{name}.weight": (outputs, inputs, kernel, kernel)}
    return found | ({f"{name}.bias": (outputs,)} if bias else {})


def linear(name, outputs, inputs) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name, width, counter=True) -> Shapes:
    parts = ("weight", "bias", "running_mean", "running_var")
    found: Shapes = {f"{name}.{part}": (width,) for part in parts}
    return found | ({f"{name}.num_batches_tracked": ()} if counter else {})


def under(prefix, shapes) -> Shapes:
    return {prefix + key: shape for key, shape in shapes.items()}


def stages(width, layers, start, counter=True, extra=None) -> Shapes:
    """`layer1` to `layer4` of bottlenecks; `extra(width)` gives what else a block holds."""
    found: Shapes = {}
    inputs = start
    for stage, blocks in enumerate(layers):
        planes = width * 2**stage
        for block in range(blocks):
            name = f"layer{stage + 1}.{block}"
            for i, (o, c, k) in enumerate(
                ((planes, inputs, 1), (planes, planes, 3), (4 * planes, planes, 1)), start=1
            ):
                found |= conv(f"{name}.conv{i}", o, c, k) | norm(f"{name}.bn{i}", o, counter)
            if block == 0:
                found |= conv(f"{name}.downsample.0", 4 * planes, inputs)
                found |= norm(f"{name}.downsample.1", 4 * planes, counter)
            if extra is not None and stage > 0:
                found |= under(f"{name}.context_block.", extra(4 * planes))
            inputs = 4 * planes
    return found


def plain_stem(counter=True) -> Shapes:
    return conv("conv1", 64, 3, 7) | norm("bn1", 64, counter)


def deep_stem(names, width, counter=True) -> Shapes:
    """Three convolutions; `names` are those of convolutions and norms by turns."""
    found: Shapes = {}
    for (o, c), (convolution, normed) in zip(
        ((width, 3), (width, width), (2 * width, width)),
        zip(names[::2], names[1::2], strict=True),
        strict=True,
    ):
        found |= conv(convolution, o, c, 3) | norm(normed, o, counter)
    return found


def danet(w=8, layers=(1, 1, 1, 1), classes=4, counter=True) -> Shapes:
    c = 32 * w
    inner = c // 4
    found = under("pretrained.", plain_stem(counter) | stages(w, layers, 64, counter))
    for name, into in (("conv5a", c), ("conv5c", c), ("conv51", inner), ("conv52", inner)):
        found |= conv(f"head.{name}.0", inner, into, 3) | norm(f"head.{name}.1", inner, counter)
    for part, width in (("query", inner // 8), ("key", inner // 8), ("value", inner)):
        found |= conv(f"head.sa.{part}_conv", width, inner, bias=True)
    found |= {"head.sa.gamma": (1,), "head.sc.gamma": (1,)}
    for i in (6, 7, 8):
        found |= conv(f"head.conv{i}.1", classes, inner, bias=True)
    return found


def stage_head(name, channels, width, classes, last, counter=True, bias=False) -> Shapes:
    """A 3x3 convolution, its norm, and a classifier at place `last`."""
    found = conv(f"{name}.0", width, channels, 3, bias) | norm(f"{name}.1", width, counter)
    return found | conv(f"{name}.{last}", classes, width, bias=True)


def encnet(w=8, layers=(1, 1, 1, 1), classes=4, codes=4, lateral=False) -> Shapes:
    c = 32 * w
    inner = c // 4
    stem = deep_stem(("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1"), 4)
    found = under("pretrained.", stem | stages(w, layers, 8))
    found |= {"pretrained.fc.weight": (1000, c), "pretrained.fc.bias": (1000,)}
    found |= conv("head.conv5.0", inner, c, 3) | norm("head.conv5.1", inner)
    if lateral:
        for i, width in enumerate((c // 4, c // 2)):
            found |= conv(f"head.connect.{i}.0", inner, width) | norm(f"head.connect.{i}.1", inner)
        found |= conv("head.fusion.0", inner, 3 * inner, 3) | norm("head.fusion.1", inner)
    start = "head.encmodule"
    found |= conv(f"{start}.encoding.0", inner, inner) | norm(f"{start}.encoding.1", inner)
    found |= {
        f"{start}.encoding.3.codewords": (codes, inner),
        f"{start}.encoding.3.scale": (codes,),
    }
    found |= norm(f"{start}.encoding.4", codes)
    found |= linear(f"{start}.fc.0", inner, inner) | linear(f"{start}.selayer", classes, inner)
    found |= conv("head.conv6.1", classes, inner, bias=True)
    return found | stage_head("auxlayer.conv5", c // 2, c // 8, classes, 4)


def fcn(w=8, layers=(1, 1, 1, 1), classes=4) -> Shapes:
    c = 32 * w
    found = under("pretrained.", plain_stem() | stages(w, layers, 64))
    found |= stage_head("head.conv5", c, c // 4, classes, 4)
    return found | stage_head("auxlayer.conv5", c // 2, c // 8, classes, 4)


def emanet(w=8, layers=(1, 1, 1, 1), classes=4, bases=4, counter=True) -> Shapes:
    c = 32 * w
    inner = c // 4
    parts = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    stem = deep_stem(("conv1.0", "conv1.1", "conv1.3", "conv1.4", "conv1.6", "bn1"), w, counter)
    found: Shapes = {}
    for key, shape in (stem | stages(w, layers, 2 * w, counter)).items():
        first, _, rest = key.partition(".")
        found[f"extractor.{parts[first]}.{rest}"] = shape
    found |= conv("fc0.conv", inner, c, 3) | norm("fc0.bn", inner, counter)
    found |= {"emau.mu": (1, inner, bases)} | conv("emau.conv1", inner, inner, bias=True)
    found |= conv("emau.conv2.0", inner, inner) | norm("emau.conv2.1", inner, counter)
    found |= conv("fc1.0.conv", inner // 2, inner, 3) | norm("fc1.0.bn", inner // 2, counter)
    return found | conv("fc2", classes, inner // 2, bias=True)


def psanet(w=8, layers=(1, 1, 1, 1), classes=4, mask=9) -> Shapes:
    c = 32 * w
    inner = c // 4
    names = [f"layer0.{i}" for i in (0, 1, 3, 4, 6, 7)]
    found = deep_stem(names, w) | stages(w, layers, 2 * w)
    for end in ("", "_p"):
        found |= conv(f"psa.reduce{end}.0", inner, c) | norm(f"psa.reduce{end}.1", inner)
        found |= conv(f"psa.attention{end}.0", inner, inner) | norm(f"psa.attention{end}.1", inner)
        found |= conv(f"psa.attention{end}.3", mask**2, inner)
    found |= conv("psa.proj.0", c, 2 * inner) | norm("psa.proj.1", c)
    found |= stage_head("cls", 2 * c, inner, classes, 4)
    return found | stage_head("aux", c // 2, c // 8, classes, 4)


def pspnet(w=8, layers=(1, 1, 1, 1), classes=4) -> Shapes:
    c = 32 * w
    inner = c // 4
    names = [f"layer0.{i}" for i in (0, 1, 3, 4, 6, 7)]
    found = deep_stem(names, w) | stages(w, layers, 2 * w)
    for i in range(4):
        found |= conv(f"ppm.features.{i}.1", inner, c) | norm(f"ppm.features.{i}.2", inner)
    found |= stage_head("cls", 2 * c, inner, classes, 4)
    return found | stage_head("aux", c // 2, c // 8, classes, 4)


def ccnet(w=8, layers=(1, 1, 1, 1), classes=4) -> Shapes:
    """With InPlaceABN: norms that count no batches."""
    c = 32 * w
    inner = c // 4
    found = deep_stem(("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"), w, False)
    found |= stages(w, layers, 2 * w, False)
    for name, into in (("conva", c), ("convb", inner)):
        found |= conv(f"head.{name}.0", inner, into, 3) | norm(f"head.{name}.1", inner, False)
    for part, width in (("query", inner // 8), ("key", inner // 8), ("value", inner)):
        found |= conv(f"head.cca.{part}_conv", width, inner, bias=True)
    found |= {"head.cca.gamma": (1,)}
    found |= stage_head("head.bottleneck", c + inner, inner, classes, 3, False)
    return found | stage_head("dsn", c // 2, c // 4, classes, 3, False, True)


def context_block(width) -> Shapes:
    hidden = width // 4
    found = conv("conv_mask", 1, width, bias=True)
    found |= conv("channel_add_conv.0", hidden, width, bias=True)
    found |= {f"channel_add_conv.1.{part}": (hidden, 1, 1) for part in ("weight", "bias")}
    return found | conv("channel_add_conv.3", width, hidden, bias=True)


def gcnet(w=8, layers=(1, 1, 1, 1)) -> Shapes:
    """A detector: its backbone, and one tensor for the rest."""
    found = under("backbone.", plain_stem() | stages(w, layers, 64, extra=context_block))
    return found | conv("rpn_head.rpn_conv", 8, 8, 3, True)


def bn_relu(name, width, inplace) -> Shapes:
    """A norm with its activation: InPlaceABN, or a batch norm one level deeper."""
    return norm(name, width, False) if inplace else norm(f"{name}.0", width)


def openseg_resnet(w, layers, inplace) -> Shapes:
    stem = deep_stem(("conv1", "bn1", "conv2", "bn2", "conv3", "bn3"), w, not inplace)
    found = under("backbone.resinit.", stem)
    return found | under("backbone.", stages(w, layers, 2 * w, not inplace))


def isanet(w=8, layers=(1, 1, 1, 1), classes=4, inplace=True, bias=False) -> Shapes:
    c = 32 * w
    inner, half = c // 4, c // 8
    found = openseg_resnet(w, layers, inplace)
    found |= conv("isa_head.0", inner, c, 3, bias) | bn_relu("isa_head.1", inner, inplace)
    for way in ("long", "short"):
        name = f"isa_head.2.stages.0.{way}_range_sa"
        for part in ("f_query", "f_key"):
            for i, into in ((0, inner), (2, half)):
                found |= conv(f"{name}.{part}.{i}", half, into)
                found |= bn_relu(f"{name}.{part}.{i + 1}", half, inplace)
        found |= conv(f"{name}.f_value", inner, inner) | conv(f"{name}.W.0", inner, inner)
        found |= bn_relu(f"{name}.W.1", inner, inplace)
    found |= conv("isa_head.2.conv_bn.0", inner, 2 * inner)
    found |= bn_relu("isa_head.2.conv_bn.1", inner, inplace)
    found |= conv("cls_head", classes, inner, bias=True)
    found |= conv("dsn_head.0", inner, c // 2, 3, bias) | bn_relu("dsn_head.1", inner, inplace)
    return found | conv("dsn_head.3", classes, inner, bias=True)


def object_context(name, width, key, inplace=False, bias=False) -> Shapes:
    found: Shapes = {}
    for part in ("f_pixel", "f_object"):
        for i, into in ((0, width), (2, key)):
            found |= conv(f"{name}.object_context_block.{part}.{i}", key, into, 1, bias)
            found |= bn_relu(f"{name}.object_context_block.{part}.{i + 1}", key, inplace)
    for part, o, c in (("f_down", key, width), ("f_up", width, key)):
        found |= conv(f"{name}.object_context_block.{part}.0", o, c, 1, bias)
        found |= bn_relu(f"{name}.object_context_block.{part}.1", o, inplace)
    found |= conv(f"{name}.conv_bn_dropout.0", width, 2 * width, 1, bias)
    return found | bn_relu(f"{name}.conv_bn_dropout.1", width, inplace)


def openseg_ocrnet(w=8, layers=(1, 1, 1, 1), classes=4, inplace=True) -> Shapes:
    c = 32 * w
    inner = c // 4
    found = openseg_resnet(w, layers, inplace)
    found |= conv("conv_3x3.0", inner, c, 3, True) | bn_relu("conv_3x3.1", inner, inplace)
    found |= object_context("spatial_ocr_head", inner, inner // 2, inplace, True)
    found |= conv("head", classes, inner, bias=True)
    found |= conv("dsn_head.0", inner, c // 2, 3, True) | bn_relu("dsn_head.1", inner, inplace)
    return found | conv("dsn_head.3", classes, inner, bias=True)


def psa_block(width) -> Shapes:
    """Polarized self-attention, sequential."""
    half, eighth = width // 2, width // 8
    found = conv("conv_q_right", 1, width) | conv("conv_v_right", half, width)
    found |= conv("conv_up.0", eighth, half, bias=True)
    found |= {f"conv_up.1.{part}": (eighth, 1, 1) for part in ("weight", "bias")}
    found |= conv("conv_up.3", width, eighth, bias=True)
    return found | conv("conv_q_left", half, width) | conv("conv_v_left", half, width)


def hrnet(width=8, blocks=1, inside=None) -> Shapes:
    """One module per stage, `blocks` blocks per branch; `inside(width)` is what a block holds."""
    found = conv("conv1", 64, 3, 3) | norm("bn1", 64) | conv("conv2", 64, 64, 3) | norm("bn2", 64)
    found |= stages(8, (blocks, 0, 0, 0), 64)
    widths = [width * 2**i for i in range(4)]
    before = [32]
    for stage in (2, 3, 4):
        now = widths[:stage]
        for i, out in enumerate(now):
            name = f"transition{stage - 1}.{i}"
            if i >= len(before):
                found |= conv(f"{name}.0.0", out, before[-1], 3) | norm(f"{name}.0.1", out)
            elif before[i] != out:
                found |= conv(f"{name}.0", out, before[i], 3) | norm(f"{name}.1", out)
        for i, out in enumerate(now):
            for block in range(blocks):
                name = f"stage{stage}.0.branches.{i}.{block}"
                for n in (1, 2):
                    found |= conv(f"{name}.conv{n}", out, out, 3) | norm(f"{name}.bn{n}", out)
                if inside is not None:
                    found |= under(f"{name}.deattn.", inside(out))
            for j, into in enumerate(now):
                name = f"stage{stage}.0.fuse_layers.{i}.{j}"
                if j > i:
                    found |= conv(f"{name}.0", out, into) | norm(f"{name}.1", out)
                for k in range(i - j):
                    end = out if k == i - j - 1 else into
                    found |= conv(f"{name}.{k}.0", end, into, 3) | norm(f"{name}.{k}.1", end)
        before = now
    return found


def hrnet_seg(width=8, classes=4, kernel=1) -> Shapes:
    whole = 15 * width
    found = hrnet(width) | conv("last_layer.0", whole, whole, 1, True) | norm("last_layer.1", whole)
    return found | conv("last_layer.3", classes, whole, kernel, True)


def hrnet_ocr(width=8, classes=4, inner=16) -> Shapes:
    whole = 15 * width
    found = hrnet(width)
    found |= conv("conv3x3_ocr.0", inner, whole, 3, True) | norm("conv3x3_ocr.1", inner)
    found |= object_context("ocr_distri_head", inner, inner // 2)
    found |= conv("aux_head.0", whole, whole, 1, True) | norm("aux_head.1", whole)
    found |= conv("aux_head.3", classes, whole, bias=True)
    return found | conv("cls_head", classes, inner, bias=True)


def psa(width=8, classes=4, inner=16, inside=psa_block, scales=False) -> Shapes:
    whole = 15 * width
    found = under("backbone.", hrnet(width, inside=inside))
    head = conv("conv3x3_ocr.0", inner, whole, 3, True) | norm("conv3x3_ocr.1.0", inner)
    head |= object_context("ocr_distri_head", inner, inner // 2)
    head |= conv("aux_head.0", whole, whole, 1, True) | norm("aux_head.1.0", whole)
    head |= conv("aux_head.2", classes, whole, bias=True)
    head |= conv("cls_head", classes, inner, bias=True)
    found |= under("ocr.", head)
    if scales:
        for i, into in ((0, inner), (1, 256)):
            found |= conv(f"scale_attn.conv{i}", 256, into, 3) | norm(f"scale_attn.bn{i}", 256)
        found |= conv("scale_attn.conv2", 1, 256)
    return found


def pose_head(inputs, points=4, width=8, steps=3) -> Shapes:
    found: Shapes = {}
    for i in range(steps):
        found[f"deconv_layers.{3 * i}.weight"] = (width if i else inputs, width, 4, 4)
        found |= norm(f"deconv_layers.{3 * i + 1}", width)
    return found | conv("final_layer", points, width if steps else inputs, bias=True)


def pose_resnet(w=8, layers=(1, 1, 1, 1), points=4, width=8) -> Shapes:
    return plain_stem() | stages(w, layers, 64) | pose_head(32 * w, points, width)


def pose_hrnet(width=8, points=4) -> Shapes:
    """The last module leads to the finest branch alone."""
    others = tuple(f"stage4.0.fuse_layers.{i}." for i in (1, 2, 3))
    body = {k: v for k, v in hrnet(width).items() if not k.startswith(others)}
    return body | pose_head(width, points, steps=0)


def mmpose(body, head) -> Shapes:
    return under("backbone.", body) | under("keypoint_head.", head)


def conv_bn(name, outputs, inputs, kernel=3) -> Shapes:
    return conv(f"{name}.conv", outputs, inputs, kernel) | norm(f"{name}.bn", outputs)


def unet(w=4, classes=4, gates=True) -> Shapes:
    """U_Net or AttU_Net: five resolutions, the widths doubled at each."""

    def step(name, places, outputs, inputs, kernel=3) -> Shapes:
        i, j = places
        found = conv(f"{name}.{i}", outputs, inputs, kernel, bias=True)
        return found | norm(f"{name}.{j}", outputs)

    def double(name, outputs, inputs) -> Shapes:
        found = step(f"{name}.conv", (0, 1), outputs, inputs)
        return found | step(f"{name}.conv", (3, 4), outputs, outputs)

    widths = [w * 2**i for i in range(5)]
    found: Shapes = {}
    for i, (c, o) in enumerate(pairwise([3, *widths]), start=1):
        found |= double(f"Conv{i}", o, c)
    for i in (5, 4, 3, 2):
        coarse, fine = widths[i - 1], widths[i - 2]
        found |= step(f"Up{i}.up", (1, 2), fine, coarse)
        for path in ("W_g", "W_x") if gates else ():
            found |= step(f"Att{i}.{path}", (0, 1), fine // 2, fine, 1)
        if gates:
            found |= step(f"Att{i}.psi", (0, 1), 1, fine // 2, 1)
        found |= double(f"Up_conv{i}", fine, coarse)
    return found | conv("Conv_1x1", classes, w, bias=True)


def bisenet(classes=4, auxiliary=True) -> Shapes:
    """CoinCheung's BiSeNetV2, whose widths are fixed."""
    found: Shapes = {}
    for stage, widths in (
        ("S1", (3, 64, 64)),
        ("S2", (64, 64, 64, 64)),
        ("S3", (64, 128, 128, 128)),
    ):
        for i, (c, o) in enumerate(pairwise(widths)):
            found |= conv_bn(f"detail.{stage}.{i}", o, c)
    stem = "segment.S1S2"
    found |= conv_bn(f"{stem}.conv", 16, 3) | conv_bn(f"{stem}.left.0", 8, 16, 1)
    found |= conv_bn(f"{stem}.left.1", 16, 8) | conv_bn(f"{stem}.fuse", 16, 32)
    for stage, c, o, blocks in (("S3", 16, 32, 2), ("S4", 32, 64, 2), ("S5_4", 64, 128, 4)):
        for i in range(blocks):
            name, into = f"segment.{stage}.{i}", c if i == 0 else o
            found |= conv_bn(f"{name}.conv1", into, into)
            wide = 6 * into
            for part in ("dwconv1", "dwconv2") if i == 0 else ("dwconv",):
                found |= conv(f"{name}.{part}.0", wide, 1, 3) | norm(f"{name}.{part}.1", wide)
            found |= conv(f"{name}.conv2.0", o, wide) | norm(f"{name}.conv2.1", o)
            if i == 0:
                found |= conv(f"{name}.shortcut.0", into, 1, 3) | norm(f"{name}.shortcut.1", into)
                found |= conv(f"{name}.shortcut.2", o, into) | norm(f"{name}.shortcut.3", o)
    name = "segment.S5_5"
    found |= norm(f"{name}.bn", 128) | conv_bn(f"{name}.conv_gap", 128, 128, 1)
    found |= conv_bn(f"{name}.conv_last", 128, 128)
    for part in ("left1", "right2"):
        found |= conv(f"bga.{part}.0", 128, 1, 3) | norm(f"bga.{part}.1", 128)
        found |= conv(f"bga.{part}.2", 128, 128)
    for part in ("left2", "right1"):
        found |= conv(f"bga.{part}.0", 128, 128, 3) | norm(f"bga.{part}.1", 128)
    found |= conv("bga.conv.0", 128, 128, 3) | norm("bga.conv.1", 128)
    found |= conv_bn("head.conv", 1024, 128) | conv("head.conv_out.1", classes, 1024, bias=True)
    sides = (("2", 16, 4), ("3", 32, 8), ("4", 64, 16), ("5_4", 128, 32)) if auxiliary else ()
    for number, c, factor in sides:
        found |= conv_bn(f"aux{number}.conv", 128, c)
        found |= conv_bn(f"aux{number}.conv_out.0.1", factor**2, 128)
        found |= conv(f"aux{number}.conv_out.1", classes, factor**2, bias=True)
    return found


def mmseg_cascade(whole, width, key, classes) -> Shapes:
    """FCNHead of one 1x1 convolution, then OCRHead."""
    found = conv_bn("0.convs.0", whole, whole, 1) | conv("0.conv_seg", classes, whole, bias=True)
    start = "1.object_context_block"
    for part in ("key_project", "query_project"):
        found |= conv_bn(f"{start}.{part}.0", key, width, 1)
        found |= conv_bn(f"{start}.{part}.1", key, key, 1)
    found |= conv_bn(f"{start}.value_project", key, width, 1)
    found |= conv_bn(f"{start}.out_project", width, key, 1)
    found |= conv_bn(f"{start}.bottleneck", width, 2 * width, 1)
    found |= conv_bn("1.bottleneck", width, whole)
    return found | conv("1.conv_seg", classes, width, bias=True)


def segformer(widths, depths, classes=4, width=12, authors=False) -> Shapes:
    """SegFormer of mmsegmentation, or of its authors, whose `conv_seg` is not used."""
    found: Shapes = {}
    for i, (before, c) in enumerate(pairwise((3, *widths))):
        start = f"backbone.patch_embed{i + 1}" if authors else f"backbone.layers.{i}.0"
        conv_name = "proj" if authors else "projection"
        found |= conv(f"{start}.{conv_name}", c, before, 3 if i else 7, bias=True)
        found |= layer_norm(f"{start}.norm", c)
        for j in range(depths[i]):
            name = f"backbone.block{i + 1}.{j}" if authors else f"backbone.layers.{i}.1.{j}"
            found |= mix_block(name, c, (8, 4, 2, 1)[i], authors)
        found |= layer_norm(f"backbone.norm{i + 1}" if authors else f"backbone.layers.{i}.2", c)
        if authors:
            found |= linear(f"decode_head.linear_c{i + 1}.proj", width, c)
        else:
            found |= conv_bn(f"decode_head.convs.{i}", width, c, 1)
    fuse = "linear_fuse" if authors else "fusion_conv"
    found |= conv_bn(f"decode_head.{fuse}", width, len(widths) * width, 1)
    if authors:
        found |= conv("decode_head.linear_pred", classes, width, bias=True)
    return found | conv("decode_head.conv_seg", classes, width, bias=True)


def layer_norm(name, width) -> Shapes:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def mix_block(name, c, reduction, authors) -> Shapes:
    found = layer_norm(f"{name}.norm1", c) | layer_norm(f"{name}.norm2", c)
    if authors:
        found |= linear(f"{name}.attn.q", c, c) | linear(f"{name}.attn.kv", 2 * c, c)
        found |= linear(f"{name}.attn.proj", c, c) | linear(f"{name}.mlp.fc1", 4 * c, c)
        found |= conv(f"{name}.mlp.dwconv.dwconv", 4 * c, 1, 3, bias=True)
        found |= linear(f"{name}.mlp.fc2", c, 4 * c)
    else:
        start = f"{name}.attn.attn"
        found |= {f"{start}.in_proj_weight": (3 * c, c), f"{start}.in_proj_bias": (3 * c,)}
        found |= linear(f"{start}.out_proj", c, c)
        found |= conv(f"{name}.ffn.layers.0", 4 * c, c, bias=True)
        found |= conv(f"{name}.ffn.layers.1", 4 * c, 1, 3, bias=True)
        found |= conv(f"{name}.ffn.layers.4", c, 4 * c, bias=True)
    if reduction > 1:
        found |= conv(f"{name}.attn.sr", c, c, reduction, bias=True)
        found |= layer_norm(f"{name}.attn.norm", c)
    return found


def segnext(widths, depths, classes=4, width=32, inner=64, norm="gn") -> Shapes:
    """SegNeXt of mmsegmentation."""
    c = widths[0]
    start = "backbone.patch_embed1.proj"
    found = conv(f"{start}.0", c // 2, 3, 3, bias=True) | _norm(f"{start}.1", c // 2)
    found |= conv(f"{start}.3", c, c // 2, 3, bias=True) | _norm(f"{start}.4", c)
    for i, (before, c) in enumerate(pairwise((3, *widths))):
        if i:
            found |= conv(f"backbone.patch_embed{i + 1}.proj", c, before, 3, bias=True)
            found |= _norm(f"backbone.patch_embed{i + 1}.norm", c)
        for j in range(depths[i]):
            found |= mscan_block(f"backbone.block{i + 1}.{j}", c, (8, 8, 4, 4)[i] * c)
        found |= layer_norm(f"backbone.norm{i + 1}", c)
    normed = layer_norm if norm == "gn" else _norm
    for name, o, into in (
        ("squeeze", inner, sum(widths[1:])), ("align", width, inner),
        ("hamburger.ham_out", inner, inner),
    ):  # fmt: skip
        found |= conv(f"decode_head.{name}.conv", o, into) | normed(f"decode_head.{name}.{norm}", o)
    found |= conv("decode_head.hamburger.ham_in.conv", inner, inner, bias=True)
    return found | conv("decode_head.conv_seg", classes, width, bias=True)


_norm = norm


def mscan_block(name, c, hidden) -> Shapes:
    found = _norm(f"{name}.norm1", c) | _norm(f"{name}.norm2", c)
    found |= {f"{name}.layer_scale_1": (c,), f"{name}.layer_scale_2": (c,)}
    gate = f"{name}.attn.spatial_gating_unit"
    found |= conv(f"{name}.attn.proj_1", c, c, bias=True) | conv(f"{gate}.conv3", c, c, bias=True)
    found |= conv(f"{name}.attn.proj_2", c, c, bias=True) | conv(f"{gate}.conv0", c, 1, 5, True)
    for i, side in enumerate((7, 11, 21)):
        for part, sides in ((f"conv{i}_1", (1, side)), (f"conv{i}_2", (side, 1))):
            found |= {f"{gate}.{part}.weight": (c, 1, *sides), f"{gate}.{part}.bias": (c,)}
    found |= conv(f"{name}.mlp.fc1", hidden, c, bias=True)
    found |= conv(f"{name}.mlp.dwconv", hidden, 1, 3, bias=True)
    return found | conv(f"{name}.mlp.fc2", c, hidden, bias=True)


def dpt(c=16, depth=4, classes=4, width=8, widths=(4, 6, 8, 10), places=4) -> Shapes:
    """DPT of mmsegmentation on a plain transformer."""
    start = "backbone."
    found: Shapes = {f"{start}cls_token": (1, 1, c), f"{start}pos_embed": (1, places + 1, c)}
    found |= conv(f"{start}patch_embed.projection", c, 3, 16, bias=True)
    for i in range(depth):
        name = f"{start}layers.{i}"
        found |= layer_norm(f"{name}.ln1", c) | layer_norm(f"{name}.ln2", c)
        found |= {f"{name}.attn.attn.in_proj_weight": (3 * c, c)}
        found |= {f"{name}.attn.attn.in_proj_bias": (3 * c,)}
        found |= linear(f"{name}.attn.attn.out_proj", c, c)
        found |= linear(f"{name}.ffn.layers.0.0", 4 * c, c) | linear(
            f"{name}.ffn.layers.1", c, 4 * c
        )
    start = "decode_head.reassemble_blocks"
    for i, w in enumerate(widths):
        found |= linear(f"{start}.readout_projects.{i}.0", c, 2 * c)
        found |= conv(f"{start}.projects.{i}.conv", w, c, bias=True)
        found |= conv(f"decode_head.convs.{i}.conv", width, w, 3)
        if i != 2:
            found |= conv(f"{start}.resize_layers.{i}", w, w, (4, 2, 0, 3)[i], bias=True)
        fusion = f"decode_head.fusion_blocks.{i}"
        found |= conv(f"{fusion}.project.conv", width, width, bias=True)
        for unit in (1, 2) if i else (2,):
            for part in (1, 2):
                found |= conv_bn(f"{fusion}.res_conv_unit{unit}.conv{part}", width, width)
    found |= conv_bn("decode_head.project", width, width)
    return found | conv("decode_head.conv_seg", classes, width, bias=True)
