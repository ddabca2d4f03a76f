"""Apps made of the kit's blocks."""
