"""Scores of masks, from whole-number counts: parts counted apart add up with +, in any order."""

from pixelwise.metrics.bootstrap import Interval, intervals
from pixelwise.metrics.boundary import BoundaryCounts
from pixelwise.metrics.calibration import Calibration
from pixelwise.metrics.confusion import Confusion, Rates, Scores
from pixelwise.metrics.pictures import PictureCounts
from pixelwise.metrics.tallies import Difference, Kind, Tallies, differences
from pixelwise.metrics.thresholds import ThresholdCounts

__all__ = [
    "BoundaryCounts",
    "Calibration",
    "Confusion",
    "Difference",
    "Interval",
    "Kind",
    "PictureCounts",
    "Rates",
    "Scores",
    "Tallies",
    "ThresholdCounts",
    "differences",
    "intervals",
]
