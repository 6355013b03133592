"""Who shares whom: the graph of the items, and attention over it."""
