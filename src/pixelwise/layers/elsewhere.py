"""Mechanisms that people ask for by name and that are no layers here, and what is nearest in kind.

With them a name gets a right answer in place of the nearest spelling, and an abbreviation that one
of them shares with a layer is not taken for that layer.
"""

from pixelwise.naming import Elsewhere

_CHANNEL = ("se", "eca")
_BOTH = ("cbam", "coord")
_PAIRS = ("nonlocal", "crisscross")
_WINDOWS = ("acmix_window", "isa")
_CONVOLUTION = ("deform", "acmix")

ELSEWHERE = (
    Elsewhere("efficient multi-scale attention", ("EMA", "EMA attention"), _BOTH),
    Elsewhere("pyramid squeeze attention (EPSANet)", ("PSA", "EPSA", "EPSANet"), _BOTH),
    Elsewhere("position-sensitive attention (C2PSA of YOLO)", ("PSA", "C2PSA"), ("pam",)),
    Elsewhere("channel attention of CBAM alone", ("CA", "ChannelGate", "channel gate"), _CHANNEL),
    Elsewhere("spatial attention of CBAM alone", ("SA", "SpatialGate", "spatial gate"), ("cbam",)),
    Elsewhere("shuffle attention (SA-Net)", ("SA", "SANet", "shuffle attention"), _BOTH),
    Elsewhere("double attention (A2-Nets)", ("DA", "A2", "A2Net", "double attention"), _PAIRS),
    Elsewhere("deformable attention (DAT)", ("DA", "DAT", "DAttention"), _CONVOLUTION),
    Elsewhere("global attention mechanism", ("GAM", "GAM attention"), _BOTH),
    Elsewhere("normalisation-based attention", ("NAM", "NAM attention"), _BOTH),
    Elsewhere("SimAM", ("simam module", "parameter-free attention"), _CHANNEL),
    Elsewhere("large kernel attention (VAN)", ("LKA", "VAN", "large kernel attention"), _BOTH),
    Elsewhere("large separable kernel attention", ("LSKA",), _BOTH),
    Elsewhere("large selective kernel (LSKNet)", ("LSK", "LSKNet", "LSKblock"), _BOTH),
    Elsewhere("multi-scale convolutional attention", ("MSCA", "SegNeXt", "MSCAN"), _BOTH),
    Elsewhere("multi-scale dilated attention", ("MSDA", "DilateFormer"), _WINDOWS),
    Elsewhere("context anchor attention (PKINet)", ("CAA", "context anchor attention"), _BOTH),
    Elsewhere("strip attention (timm)", ("strip_attn", "StripAttn"), ("strip_pooling", "coord")),
    Elsewhere("triplet attention", ("triplet",), _BOTH),
    Elsewhere("spatial group-wise enhance", ("SGE",), _CHANNEL),
    Elsewhere("selective kernel", ("SK", "SKNet", "SKConv", "selective kernel"), _CHANNEL),
    Elsewhere("efficient local attention", ("ELA", "EfficientLocalAttn"), ("coord",)),
    Elsewhere("mixed local channel attention", ("MLCA",), _CHANNEL),
    Elsewhere("channel prior convolutional attention", ("CPCA",), _BOTH),
    Elsewhere("spatial and channel synergistic attention", ("SCSA",), _BOTH),
    Elsewhere("external attention", ("EA", "EANet", "external attention"), _PAIRS),
    Elsewhere("axial attention", ("axial", "axial_attention"), ("crisscross",)),
    Elsewhere("contextual transformer block", ("CoT", "CoTNet", "CoTAttention"), ("acmix",)),
    Elsewhere("split attention (ResNeSt)", ("splat", "SplitAttn", "ResNeSt"), _CHANNEL),
    Elsewhere("gather-excite", ("GE", "GatherExcite"), _CHANNEL),
    Elsewhere("frequency channel attention", ("FCA", "FcaNet"), _CHANNEL),
    Elsewhere("effective squeeze-excitation", ("eSE", "ESE", "EffectiveSEModule"), _CHANNEL),
    Elsewhere("residual attention", ("residual attention network",), _BOTH),
    Elsewhere("bi-level routing attention", ("BRA", "BiFormer"), _WINDOWS),
    Elsewhere(
        "neighbourhood attention", ("NA", "NAT", "NATTEN", "neighborhood attention"), _WINDOWS
    ),
    Elsewhere("agent attention", ("agent",), _PAIRS),
    Elsewhere("focal modulation", ("FocalNet", "focal"), _WINDOWS),
    Elsewhere("cascaded group attention", ("CGA", "EfficientViT"), _WINDOWS),
    Elsewhere("window attention (Swin)", ("swin", "WindowAttention", "W-MSA", "SW-MSA"), _WINDOWS),
    Elsewhere("multi-head self-attention", ("MHSA", "MSA", "MultiheadAttention"), _PAIRS),
    Elsewhere("linear attention", ("linear attention", "LinearAttention"), _PAIRS),
    Elsewhere("lambda layer", ("lambda", "LambdaLayer", "LambdaNetworks"), _PAIRS),
    Elsewhere("halo attention", ("halo", "HaloNet", "HaloAttn"), _WINDOWS),
    Elsewhere("bottleneck transformer", ("BoT", "BoTNet", "BottleneckAttn"), _PAIRS),
    Elsewhere("state-space scan (VMamba)", ("SS2D", "VMamba", "Mamba", "VSS", "VSSBlock"), _PAIRS),
    Elsewhere(
        "asymmetric non-local block", ("ANN", "AFNB", "APNB", "AsymmetricNonLocal"), ("nonlocal",)
    ),
    Elsewhere("atrous spatial pyramid pooling", ("ASPP",), ("fpa",)),
    Elsewhere("pyramid pooling", ("PPM", "PSP", "PSPModule"), ("fpa",)),
    Elsewhere("coordinate convolution", ("CoordConv",), ("coord",)),
    Elsewhere("dynamic convolution", ("CondConv", "DynamicConv", "ODConv"), _CONVOLUTION),
    Elsewhere("deformable convolution v3 or v4", ("DCNv3", "DCNv4"), ("deform",)),
    Elsewhere("involution", ("involution",), _CONVOLUTION),
    Elsewhere("CARAFE", (), ("gau",)),
    Elsewhere("DySample", (), ("gau",)),
    Elsewhere("FreqFusion", (), ("gau",)),
)
