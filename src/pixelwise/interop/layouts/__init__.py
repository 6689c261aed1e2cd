"""How the known code bases name the parts of their networks, one file each."""

from pixelwise.interop.layouts.bisenet import BiSeNetLayout
from pixelwise.interop.layouts.ccnet import CCNetLayout
from pixelwise.interop.layouts.emanet import EMANetLayout
from pixelwise.interop.layouts.encoding import EncodingLayout
from pixelwise.interop.layouts.gcnet import GCNetLayout
from pixelwise.interop.layouts.hrnet import HRNetOCRLayout, PSALayout
from pixelwise.interop.layouts.hugging_face import HuggingFaceLayout
from pixelwise.interop.layouts.mmsegmentation import MMSegmentationLayout
from pixelwise.interop.layouts.openseg import OpenSegLayout
from pixelwise.interop.layouts.pan import PANLayout
from pixelwise.interop.layouts.pose import PoseLayout
from pixelwise.interop.layouts.semseg import SemsegLayout
from pixelwise.interop.layouts.smp import SMPLayout
from pixelwise.interop.layouts.torchvision import TorchvisionLayout
from pixelwise.interop.layouts.unet import UNetLayout
from pixelwise.interop.layouts.unsupported import UnsupportedLayout
from pixelwise.interop.network import CheckpointLayout

LAYOUTS: tuple[CheckpointLayout, ...] = (
    MMSegmentationLayout(),
    HuggingFaceLayout(),
    EncodingLayout(),
    EMANetLayout(),
    SemsegLayout(),
    CCNetLayout(),
    PSALayout(),
    OpenSegLayout(),
    PoseLayout(),
    HRNetOCRLayout(),
    BiSeNetLayout(),
    GCNetLayout(),
    SMPLayout(),
    TorchvisionLayout(),
    PANLayout(),
    UNetLayout(),
    UnsupportedLayout(),
)
"""In the order in which they are tried: the most particular first."""
