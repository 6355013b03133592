"""Tables of papers: what was published, what makes the same rows here, and both side by side."""
