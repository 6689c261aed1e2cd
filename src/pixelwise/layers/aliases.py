"""Names that are used for several mechanisms, and more names of those that are layers here.

A layer's class has the names that articles and code in English give it (`aliases`). Here are those
in Chinese, those that only make it clear which one is meant, and those that several have: a name
alone cannot decide between them. `docs/names.md` is written from these tables.
"""

from collections.abc import Mapping, Sequence

SHARED: Mapping[str, Sequence[str]] = {
    "EMA": ("emsa", "ema"),
    "PSA": ("psa_s", "psa_p", "psanet", "epsa", "yolo_psa"),
    "PSAModule": ("epsa", "psanet"),
    "polarized self-attention": ("psa_s", "psa_p"),
    "极化自注意力": ("psa_s", "psa_p"),
    "DA": ("pam", "cam", "double", "dat"),
    "DAM": ("pam", "cam", "double"),
    "DANet": ("pam", "cam"),
    "dual attention": ("pam", "cam"),
    "双重注意力": ("pam", "cam", "double"),
    "双注意力": ("pam", "cam", "double"),
    "CA": ("coord", "cbam_channel", "cam", "rcan", "cross"),
    "CAM": ("cam", "cbam_channel"),
    "channel attention": ("cbam_channel", "cam", "se", "eca", "rcan"),
    "通道注意力": ("cbam_channel", "cam", "se", "eca", "rcan"),
    "SA": ("shuffle", "self_attention", "cbam_spatial", "mhsa"),
    "spatial attention": ("cbam_spatial", "pam", "psanet"),
    "空间注意力": ("cbam_spatial", "pam", "psanet"),
    "self-attention": ("self_attention", "nonlocal", "mhsa"),
    "自注意力": ("self_attention", "nonlocal", "mhsa"),
    "global attention": ("gam", "gc", "gau"),
    "全局注意力": ("gam", "gc", "gau"),
    "deform": ("deform", "dat"),
    "deformable attention": ("dat", "msdeform"),
    "可变形注意力": ("dat", "msdeform"),
    "PAN": ("fpa", "gau"),
    "pyramid attention": ("fpa", "epsa"),
    "CCA": ("crisscross", "uctransnet_cca", "imdn_cca"),
    "GCT": ("gct_gated", "gct_gaussian"),
    "ESA": ("esa", "segformer_attention"),
    "EA": ("external", "efficient_attention"),
    "A2": ("double", "area"),
    "MCA": ("mca", "mcanet"),
    "MCANet": ("mca", "mcanet"),
    "large kernel": ("lka", "lska", "lsk"),
    "strip": ("strip_pooling", "strip_attn"),
    "residual attention": ("residual_attention", "csra"),
}
"""Name -> keys of all that it is used for, here or `elsewhere`; what most mean by it comes first.

Where a layer's key is such a name, that layer is meant; and if most mean another, it is said once.
"""

MORE: Mapping[str, Sequence[str]] = {
    "acmix": ("卷积与自注意力混合",),
    "bam": ("瓶颈注意力", "瓶颈注意力模块"),
    "cam": ("DANet channel attention", "DANet CAM"),
    "cbam": ("卷积块注意力", "卷积注意力模块"),
    "conv": ("普通卷积",),
    "coord": ("坐标注意力",),
    "crisscross": ("十字交叉注意力", "交叉十字注意力"),
    "deform": ("Deformable ConvNets v2", "可变形卷积"),
    "dnl": ("解耦非局部",),
    "eca": ("高效通道注意力",),
    "ema": ("期望最大化注意力", "EMANet attention"),
    "encoding": ("上下文编码",),
    "fpa": ("特征金字塔注意力",),
    "gate": ("注意力门", "注意力门控"),
    "gau": ("全局注意力上采样",),
    "gc": ("全局上下文",),
    "isa": ("交错稀疏自注意力",),
    "nonlocal": ("非局部", "非局部注意力"),
    "ocr": ("物体上下文表示", "对象上下文表示"),
    "pam": ("DANet position attention", "DANet PAM", "DANet spatial attention", "位置注意力"),
    "psa_p": ("parallel polarized self-attention", "并行极化自注意力"),
    "psa_s": ("sequential polarized self-attention", "串行极化自注意力", "顺序极化自注意力"),
    "psanet": ("PSANet attention", "逐点空间注意力", "点态空间注意力"),
    "scse": ("空间与通道挤压激励",),
    "se": ("挤压激励", "压缩激励", "压缩与激励", "挤压与激励"),
    "self_attention": ("OCNet self-attention",),
    "spd": ("空间到深度卷积",),
    "strip_pooling": ("条带池化",),
}
"""Key -> other names, beside those of the class."""
