"""Parties that every algorithm shares: aggregators and the evaluator. Plain classes, no Ray."""
