"""What a run tells: attacks by a curious server and by who has a finished generator. Without Ray."""
