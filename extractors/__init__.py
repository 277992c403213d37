"""How pixels become rows: one file in ``extractors/zoo`` is one extractor."""
