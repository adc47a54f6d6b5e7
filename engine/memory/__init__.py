"""Feature memory: reading by similarity, and the banks that decide what is remembered. Knows tensors only."""
