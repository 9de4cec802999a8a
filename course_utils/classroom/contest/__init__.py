"""A class's leaderboard: recipes of small models, trained on one budget and ranked by several seeds."""
