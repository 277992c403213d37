"""What a score is made of: splits that keep more and more together, recognition, the learning curve."""
