"""The page to click: what a network says of a pixel, and where every layer looks from there."""
