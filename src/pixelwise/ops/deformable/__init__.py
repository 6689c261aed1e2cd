"""Convolution whose kernel reads the map wherever offsets point."""

from pixelwise.ops.deformable.dispatch import deformable_convolution as deformable_convolution
from pixelwise.ops.deformable.dispatch import operator as operator
from pixelwise.ops.deformable.plain import Pair as Pair
from pixelwise.ops.deformable.reads import read_at as read_at
from pixelwise.ops.deformable.reads import tap_reads as tap_reads
