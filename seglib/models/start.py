"""Where a network's last layer starts: at the classes' frequencies instead of at chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seglib.lazy import torch

RAREST = 1e-4  # a class that is rarer, or has no pixel at all, starts as one of this frequency


def set_output_bias(model: torch.nn.Module, frequencies: npt.NDArray[np.float64]) -> bool:
    """Set the bias of the last convolution with an output a class to the logits log(f / (1 - f)).

    So one-vs-rest probabilities start at the classes' frequencies, and the first steps are not
    spent on learning that most pixels are not of a rare class.
    Args: frequencies: (C,) shares of the pixels.
    Returns: whether there is such a layer; the network is left as it is where there is none.
    Source: the prior of Lin et al. 2017 (focal loss), a class each.
    """
    f = np.clip(frequencies, RAREST, 1 - RAREST)
    for layer in reversed(list(model.modules())):
        if (
            isinstance(layer, torch.nn.Conv2d)
            and layer.out_channels == len(f)
            and layer.bias is not None
        ):
            with torch.no_grad():
                layer.bias.copy_(torch.from_numpy(np.log(f / (1 - f))))
            return True
    return False
