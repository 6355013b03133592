"""Encoders: raw texts and pictures in, features out."""
