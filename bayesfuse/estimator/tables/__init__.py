"""Models side by side: what is fitted, in which processes, what is kept, and the table of it."""
