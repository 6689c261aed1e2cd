"""Other people's checkpoints: read safely, recognised by their keys, turned into networks here."""
