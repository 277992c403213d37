"""The model on disk: without pickle, the same bytes each time, checked before it is used."""
