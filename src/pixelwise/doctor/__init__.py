"""Looks at a data set before training: every problem with its files, its count and its remedy."""
