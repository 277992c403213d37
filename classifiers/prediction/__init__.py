"""What the saved model makes of new pictures."""
