"""Heads on so many rows that a second copy of them would not fit in memory."""
