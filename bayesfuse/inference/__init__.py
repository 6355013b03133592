"""Priors, guides and ELBOs on chosen parts of any torch module, as Pyro programs."""
