"""`pixelwise demo`: a network with attention beside the same one without, for any task."""

from pixelwise.demo.run import run_demo

__all__ = ["run_demo"]
