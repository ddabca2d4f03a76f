"""Who buys and who sells."""
