"""Clients that hold both networks whole: nothing is split. No Ray."""
