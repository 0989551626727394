"""The federated half of the method on numpy arrays: clustering, weighting, aggregation (README, "The round")."""
