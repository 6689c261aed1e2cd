"""Functions without parameters. Each has one plain reference, and a lean form that equals it."""
