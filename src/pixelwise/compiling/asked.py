"""What `--compile` may be: read before torch is loaded."""

CHOICES = ("off", "auto")
