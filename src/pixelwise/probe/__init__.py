"""How far context reaches through a layer: pixels that must know of a marker at a distance."""
