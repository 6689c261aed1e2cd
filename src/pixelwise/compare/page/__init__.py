"""The page of a comparison: one file, English and Chinese."""

from pixelwise.compare.page.compared import Compared
from pixelwise.compare.page.page import comparison_page

__all__ = ["Compared", "comparison_page"]
