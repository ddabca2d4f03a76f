"""What a good reviewer would let pass, written by hand as the tutorials teach it."""
