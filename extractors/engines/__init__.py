"""Where the work runs: a module's file name is the engine's name."""
