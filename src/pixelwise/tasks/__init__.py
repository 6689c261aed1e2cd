"""What a pixel-wise network answers: a file per task, with all that depends on it."""
