"""How to build our module for each recorded system, one adapter per system."""

from adapters import layers, networks

ADAPTERS = layers.ADAPTERS | networks.ADAPTERS
"""System -> adapter."""
DIFFERENT = layers.DIFFERENT | networks.DIFFERENT
"""System -> why it is other arithmetic than ours, on purpose."""
