"""ModelSpec: a network as data, and networks of the user's own, `module:factory`.

Owns what anybody may ask of a network by its name: how it is built, what sizes it takes, which
options of a run apply to it, where its pretrained encoder sits. Knows no run, study or training.
"""

from __future__ import annotations

import hashlib
import importlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType

from seglib.lazy import torch

ENCODERS = ("resnet18", "resnet34", "resnet50")  # torchvision's, that resnetunet can be built on
DECODERS = ("light", "wide")  # of resnetunet
OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")  # module:factory


@dataclass(frozen=True, kw_only=True)
class ModelTraits:
    """What tells runs of a network apart; of a user's own, nothing needs to be imported for it.

    `encoder` is the submodule that pretrained weights are loaded into, and `classifier` the
    torchvision classifier that they come from ("" = the one that the option `encoder` names);
    a network without such an encoder says why in `no_encoder`.
    """

    options: Mapping[str, str] = field(default_factory=dict)  # option of a run -> how names show it
    encoder: str = ""
    classifier: str = ""
    no_encoder: str = ""
    min_crops: int = 1  # in one part of a training batch
    meta: bool = True  # torch's meta device can build and run it, without memory or arithmetic

    def __post_init__(self) -> None:
        assert bool(self.encoder) != bool(self.no_encoder), "an encoder, or why there is none"

    def classifier_for(self, encoder: str | None) -> str:
        """The torchvision classifier of the pretrained weights; "" where there is no encoder."""
        return (self.classifier or encoder or "") if self.encoder else ""


@dataclass(frozen=True, kw_only=True)
class ModelSpec(ModelTraits):
    """A network: images (B, 3, H, W) -> logits (B, n_classes, H, W)."""

    build: Callable[..., torch.nn.Module]  # (n_classes=..., **options)
    multiple: int  # height and width are multiples of this


def is_own(name: str) -> bool:
    """Whether `name` has the form `module:factory` of a network of the user's own."""
    return OWN.fullmatch(name) is not None


class SourceError(ValueError):
    """The source of a network of the user's is not there, or not what it was."""


def own_traits(name: str) -> ModelTraits:
    """What is known of a `module:factory` by its name alone."""
    return ModelTraits(
        no_encoder=f"{name} is not of this package, which knows no pretrained encoder in it",
        meta=False,
    )


def own_model(name: str) -> ModelSpec:
    """The spec of `module:factory`: `factory(n_classes=...)` gives a module, `factory.multiple` is
    32 unless set. The module is imported; see `own_source` first where a study names it."""
    module, factory = _own_module(name), name.partition(":")[2]
    build = getattr(module, factory, None)
    if build is None:
        raise ValueError(
            f"model {name} must name a function of {module.__name__}, got no {factory}"
        )
    if not callable(build):
        raise ValueError(f"model {name} must be callable, got {type(build).__name__}")
    multiple = getattr(build, "multiple", 32)
    if type(multiple) is not int or multiple < 1:
        raise ValueError(f"multiple of model {name} must be a whole number > 0, got {multiple!r}")
    return ModelSpec(
        build=partial(_build_own, name, build),
        multiple=multiple,
        **vars(own_traits(name)),
    )


def own_source(name: str, *, expected: str = "") -> str:
    """sha256 of the source file of a `module:factory`, as it is now: it tells runs apart.

    The file is found as `import` finds it, and nothing of it is run.
    Raises: SourceError where there is no such file, or it is not the `expected` one.
    """
    path = _own_file(name)
    if path.suffix != ".py" or not path.is_file():
        raise SourceError(
            f"model {name} must come from a Python source file, whose hash names its runs, got "
            f"{path if path.name else 'no file'}"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if expected and found != expected:
        raise SourceError(
            f"{path}, source of model {name}, must have sha256 {expected[:12]}, got {found[:12]}: "
            "it changed; use --study NEWNAME for new runs, or put it back"
        )
    return found


def _own_file(name: str) -> Path:
    """Where the module of a `module:factory` lies; "" where it has no file."""
    module = name.partition(":")[0]
    if module in sys.modules:
        return Path(getattr(sys.modules[module], "__file__", None) or "")
    *parents, _ = (module[: end.start()] for end in re.finditer(r"\.|$", module))
    places: list[str] | None = None
    for part in (*parents, module):
        found = (finder.find_spec(part, places) for finder in sys.meta_path)
        spec = next((one for one in found if one), None)
        if spec is None or (part != module and spec.submodule_search_locations is None):
            raise _no_module(name, f"ModuleNotFoundError: No module named {module!r}")
        places = spec.submodule_search_locations and list(spec.submodule_search_locations)
    return Path((spec.origin or "") if spec and spec.has_location else "")


def _no_module(name: str, got: str) -> SourceError:
    return SourceError(
        f"model {name} must name a module that can be imported, got {got}; start where it lies or "
        "set PYTHONPATH"
    )


def _own_module(name: str) -> ModuleType:
    module = name.partition(":")[0]
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:  # it runs the user's code: what that raises is said
        what = (str(error).splitlines() or [""])[0]
        raise _no_module(name, f"{type(error).__name__}: {what}") from None


def _build_own(name: str, factory: Callable[..., object], *, n_classes: int) -> torch.nn.Module:
    model = factory(n_classes=n_classes)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model {name} must return a torch Module, got {type(model).__name__}")
    return model


def check_logits(name: str, spec: ModelSpec, *, n_classes: int = 3, crop_px: int = 0) -> None:
    """Raise ValueError unless the network gives logits of the size of its images, and learns.

    One pass over the smallest image that is no square and, with `crop_px`, a step's over two
    crops, on a network built for it and thrown away.
    """
    got, size = "nothing", (spec.multiple, 2 * spec.multiple)
    wanted = f"{(1, n_classes, *size)} of images {(1, 3, *size)}"
    try:
        with torch.random.fork_rng(devices=[]):
            model = spec.build(n_classes=n_classes)
            with torch.inference_mode():
                got = _shape(model.eval()(torch.zeros(1, 3, *size)))
            if crop_px and got == str((1, n_classes, *size)):
                crops = (2, 3, crop_px, crop_px)
                wanted = f"{(2, n_classes, crop_px, crop_px)} of crops {crops}, and learn"
                logits = model.train()(torch.rand(crops))
                got = _shape(logits)
                if torch.is_tensor(logits):
                    torch.autograd.backward(logits.sum())
    except (Exception, SystemExit) as error:  # the user's code: whatever it raises is said
        got = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    if not wanted.startswith(f"{got} "):
        raise ValueError(f"model {name} must give logits {wanted}, got {got}")


def _shape(logits: object) -> str:
    return str(tuple(logits.shape)) if torch.is_tensor(logits) else type(logits).__name__
