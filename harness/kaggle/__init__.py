"""Kaggle: the data in, submissions and kernels out, the leaderboard noted."""
