"""Catalogues and features: what goes in, read and checked before anything is learned."""
