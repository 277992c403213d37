"""A zoo of extractors that tell what they are asked for: for processes that the tests do not see."""
