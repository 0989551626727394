"""Scores and pictures: how good generated images are, judged by classifiers trained on real ones."""
