"""The heads: a module's file name is the head's name."""
