"""Where pretrained encoder weights come from: `imagenet`, `pretext` or a file. No silent fallback.

Everything is loaded with `weights_only=True` after its hash is known. Source and sha256 go into
the identity of a run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from seglib.lazy import torch

# What stands before the names of an encoder's weights in files, and the classifier behind it.
PREFIXES = re.compile(r"^(module\.|encoder\.|backbone\.|features\.)+")
HEADS = ("fc.", "classifier.")
PRETEXT = Path(__file__).with_name("pretext-resnet18.pt")  # shipped; seglib/models/pretext.py


class WeightsError(ValueError):
    """Pretrained weights are missing, damaged or of another network."""


@dataclass(frozen=True)
class Weights:
    """A weights file with its hash. `source` is what the report names, e.g. "imagenet (V1)"."""

    source: str
    path: Path
    sha256: str


def cache_dir() -> Path:
    """Folder for weights, outside any project: $XDG_CACHE_HOME/segstudy or ~/.cache/segstudy."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segstudy"


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve_weights(
    source: str,
    *,
    encoder: str = "resnet18",
    cache: Path | None = None,
    download: Callable[[str, str], None] | None = None,
) -> Weights:
    """Find or download the weights that `source` names; see the module.

    Args:
        source: "imagenet", "pretext" or the path of a state dict.
        download: called with (url, destination), torch's unless given; injected in tests.
    Raises: WeightsError saying what was expected, what was got and what to do.
    """
    if source == "pretext":
        if encoder != "resnet18":
            raise WeightsError(f"pretext weights exist for resnet18 only, got encoder {encoder}")
        return Weights("pretext (drawn scenes)", PRETEXT, file_sha256(PRETEXT))
    if source == "imagenet":
        return _imagenet(encoder, cache or cache_dir(), download or torch.hub.download_url_to_file)
    path = Path(source)
    if not path.is_file():
        raise WeightsError(
            f"pretrained must be imagenet, pretext or a weights file, got {source!r}: no such file"
        )
    return Weights(f"file {path.name}", path, file_sha256(path))


def _imagenet(encoder: str, cache: Path, download: Callable[[str, str], None]) -> Weights:
    from torchvision.models import get_model_weights  # slow to import

    enum = get_model_weights(encoder).IMAGENET1K_V1
    name = enum.url.rsplit("/", 1)[-1]
    digits = name.removesuffix(".pth").rpartition("-")[2]  # torchvision's: of the sha256
    path = cache / name
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".part{os.getpid()}")
        try:
            download(enum.url, str(part))
        except (URLError, OSError) as error:
            part.unlink(missing_ok=True)
            raise WeightsError(
                f"could not download {enum.url} ({error}); put the file at {path} by hand, "
                "or choose --pretrained pretext or a file"
            ) from None
        part.replace(path)
    found = file_sha256(path)
    if not found.startswith(digits):
        raise WeightsError(
            f"{path} must have a sha256 beginning with {digits}, got {found[:8]}; "
            "delete it and start again"
        )
    return Weights(f"imagenet ({enum.name})", path, found)


def load_encoder(encoder: torch.nn.Module, path: Path, *, sha256: str) -> None:
    """Load a torchvision classifier's state dict into `encoder`, in place.

    Whole classifiers, bare encoders and the prefixes of PREFIXES are accepted.
    Raises: WeightsError when the file changed, is not a state dict, or does not fit exactly.
    """
    if (found := file_sha256(path)) != sha256:
        raise WeightsError(f"{path} must have sha256 {sha256[:12]}, got {found[:12]}; it changed")
    given = {PREFIXES.sub("", key): value for key, value in _read_tensors(path).items()}
    given = {key: value for key, value in given.items() if not key.startswith(HEADS)}
    wanted = encoder.state_dict()
    # older torchvision files lack BatchNorm's counters, which play no part in the result
    counters = {k: v for k, v in wanted.items() if k.endswith("num_batches_tracked")}
    given = counters | given
    missing = sorted(wanted.keys() - given.keys())
    unexpected = sorted(given.keys() - wanted.keys())
    shapes = sorted(k for k in wanted.keys() & given.keys() if wanted[k].shape != given[k].shape)
    if missing or unexpected or shapes:
        parts = (("missing", missing), ("unexpected", unexpected), ("of another shape", shapes))
        what = "; ".join(
            f"{len(keys)} {word} ({', '.join(keys[:3])})" for word, keys in parts if keys
        )
        raise WeightsError(f"{path} does not fit the encoder: {what}")
    encoder.load_state_dict(given)


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many types for a bad file; all mean the same here
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path} must be a state dict of tensors: {reason}") from None
    if not isinstance(loaded, dict) or not all(torch.is_tensor(v) for v in loaded.values()):
        raise WeightsError(f"{path} must be a state dict of tensors, got {type(loaded).__name__}")
    return loaded
