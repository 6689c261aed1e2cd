"""Where does this pixel look: maps of every attention layer, checked, drawn, with their cost."""
