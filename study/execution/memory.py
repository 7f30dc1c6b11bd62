"""Memory: what to set when it was too small."""

from __future__ import annotations

from study.config import RunConfig


def less_memory(config: RunConfig) -> str:
    """What to set when memory was too small."""
    if config.batch_size == 1:
        return "try a smaller --set crop_px in a new --study"
    parts = [n for n in range(2, config.batch_size + 1) if config.batch_size % n == 0]
    text = f"try --set batch_size={config.batch_size // parts[0]}"
    if more := next((n for n in parts if n > config.accumulate), None):
        text += f", or --set accumulate={more} for batches of {config.batch_size} in {more} parts"
    return f"{text}; either in a new --study, or fewer --workers in this one"
