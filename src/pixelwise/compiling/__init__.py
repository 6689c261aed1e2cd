"""Layers under torch.compile, each where that was measured faster on the machine at hand.

A compiled graph makes one pass over the map of what torch makes several of. Whether that is faster
depends on the processor, on the size of the map and on torch; the forms of most layers here do
better. So a layer is measured as it is and compiled at its first call of a kind, and the verdict is
kept in a file. Which layers are worth trying stands in their classes, as `worth_compiling`.
"""
