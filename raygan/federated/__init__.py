"""The federated half of the method on numpy arrays: clustering, weighting, aggregation.

README, "What happens in a run", says where they stand in a round.
"""
