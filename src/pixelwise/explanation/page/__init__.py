"""The HTML page of an explanation."""
