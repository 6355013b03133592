"""Tags for catalogues, with honest probabilities."""
