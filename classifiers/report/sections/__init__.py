"""The page's sections, a module each: what was found, as tables, figures and sentences.

Each has one function, ``section``. They refuse to know HTML: a template of the section's id sets it.
"""
