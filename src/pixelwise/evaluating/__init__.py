"""Evaluation of trained networks: one alone, or several beside each other, and its page."""
