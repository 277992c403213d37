"""Heads beside each other: the leaderboard and its shortcuts, and two revisions of one study."""
