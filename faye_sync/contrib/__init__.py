"""faye_sync for frameworks, each in a module of its own that imports its framework."""
