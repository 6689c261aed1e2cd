"""Attention layers in a network that exists already, whose output stays what it was."""
