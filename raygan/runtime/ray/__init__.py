"""Parties as Ray actors: the only package of the runtime that imports Ray."""
