"""The study's claims, tested on whole groups."""
