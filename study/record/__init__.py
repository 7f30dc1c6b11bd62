"""What lies on disk, typed and read once: files, journal, run directory, declaration."""
