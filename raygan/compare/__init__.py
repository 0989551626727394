"""Variants of one configuration, compared: which is best, by how much, at what cost."""
