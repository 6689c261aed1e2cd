"""How far context reaches through a layer."""
