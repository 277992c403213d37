"""What heads go by: importances beside chance, contributions, edited and redrawn pictures."""
