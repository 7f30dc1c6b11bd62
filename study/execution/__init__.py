"""One run; its checkpoints; many runs at once; what would fail; what it costs."""
