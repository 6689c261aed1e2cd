"""Networks that people ask for by name and that are not here, and what is nearest in kind."""

from pixelwise.naming import Elsewhere

_PYRAMIDS = ("fpn", "deeplabv3plus")
_CONTEXT = ("pspnet", "deeplabv3plus")
_SKIPS = ("unet", "attention_unet")

ELSEWHERE = (
    Elsewhere("DeepLabv3", ("DeepLab", "DeepLabv2", "ASPPHead"), ("deeplabv3plus",)),
    Elsewhere("SETR-MLA", ("SETRMLAHead",), ("setr", "dpt")),
    Elsewhere("Mask2Former", ("MaskFormer", "OneFormer"), _PYRAMIDS),
    Elsewhere("Segmenter (Strudel et al.)", ("Segmenter",), _PYRAMIDS),
    Elsewhere("SAM", ("segment anything",), _PYRAMIDS),
    Elsewhere("PIDNet", ("PIDHead",), ("bisenetv2",)),
    Elsewhere("DDRNet", ("DDRHead",), ("bisenetv2",)),
    Elsewhere("STDC", ("STDCHead",), ("bisenetv2",)),
    Elsewhere("BiSeNet (version 1)", ("BiSeNetV1", "BiSeNet"), ("bisenetv2",)),
    Elsewhere("ICNet", (), ("bisenetv2",)),
    Elsewhere("Fast-SCNN", ("FastSCNN",), ("bisenetv2", "lr_aspp")),
    Elsewhere("U-Net++", ("UnetPlusPlus", "Unet++", "nested unet"), _SKIPS),
    Elsewhere("U-Net 3+", ("Unet3+",), _SKIPS),
    Elsewhere("LinkNet", (), _SKIPS),
    Elsewhere("MA-Net", ("MAnet",), _SKIPS),
    Elsewhere("SegNet", (), _SKIPS),
    Elsewhere("TransUNet", ("SwinUNet", "Swin-Unet"), _SKIPS),
    Elsewhere("PointRend", ("PointHead",), _CONTEXT),
)
