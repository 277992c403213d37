"""The extractors: a module's file name is the extractor's name."""
