"""How the known code bases name the parts of their networks, one file each."""

from pixelwise.interop.layouts.bisenet import BiSeNet
from pixelwise.interop.layouts.ccnet import CCNet
from pixelwise.interop.layouts.emanet import EMANet
from pixelwise.interop.layouts.encoding import Encoding
from pixelwise.interop.layouts.gcnet import GCNet
from pixelwise.interop.layouts.hrnet import PSA, HRNetOCR
from pixelwise.interop.layouts.mmsegmentation import MMSegmentation
from pixelwise.interop.layouts.openseg import OpenSeg
from pixelwise.interop.layouts.semseg import Semseg
from pixelwise.interop.network import Layout

LAYOUTS: tuple[Layout, ...] = (
    MMSegmentation(),
    Encoding(),
    EMANet(),
    Semseg(),
    CCNet(),
    PSA(),
    OpenSeg(),
    HRNetOCR(),
    BiSeNet(),
    GCNet(),
)
"""In the order in which they are tried: the most particular first."""
