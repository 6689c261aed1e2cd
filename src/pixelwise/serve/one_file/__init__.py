"""The page to click as one file: the network and what runs it are inside, and no server is."""
