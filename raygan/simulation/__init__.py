"""Simulating many devices on one machine: emulated speed, clients computed at once, threads and memory."""
