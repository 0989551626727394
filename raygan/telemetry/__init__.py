"""Metrics of a run: their definitions, recording through Ray, documentation, Grafana."""
