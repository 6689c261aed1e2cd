"""Insertion in the ways that other libraries train, save and load networks."""
