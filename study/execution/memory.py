"""Memory: what to set when it was too small."""

from __future__ import annotations

import errno
import re

from study.config import RunConfig

# torch's allocator on a CPU, CUDA's and cuDNN's own, a thread or file that could not be mapped
SAYINGS = re.compile(r"can't allocate memory|not enough memory|out of memory|ALLOC_FAILED")


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that there was too little memory."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and SAYINGS.search(str(error)) is not None


def less_memory(config: RunConfig) -> str:
    """What to set when memory was too small."""
    if config.batch_size == 1:
        return "try a smaller --set crop_px in a new --study"
    parts = [n for n in range(2, config.batch_size + 1) if config.batch_size % n == 0]
    text = f"try --set batch_size={config.batch_size // parts[0]}"
    if more := next((n for n in parts if n > config.accumulate), None):
        text += f", or --set accumulate={more} for batches of {config.batch_size} in {more} parts"
    return f"{text}; either in a new --study, or fewer --workers in this one"
