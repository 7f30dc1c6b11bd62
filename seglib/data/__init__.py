"""Images with masks: the folder layout, the embedded set, the decoded store, the augmentation."""

from seglib.data.augment import AUGMENTATION_FIELDS, Augmentation, CropSampler
from seglib.data.build import build_store
from seglib.data.classes import implausible_classes
from seglib.data.findings import copies, suspicious
from seglib.data.folder import Folder, open_folder
from seglib.data.integrity import changes, check_sources, damaged, find_store
from seglib.data.plain import DataError
from seglib.data.shapes import VERSION as SHAPES_VERSION
from seglib.data.shapes import write_shapes
from seglib.data.store import Split, Store, open_store, store_path
from seglib.drawing import VOC_CLASSES

__all__ = [
    "AUGMENTATION_FIELDS",
    "SHAPES_VERSION",
    "VOC_CLASSES",
    "Augmentation",
    "CropSampler",
    "DataError",
    "Folder",
    "Split",
    "Store",
    "build_store",
    "changes",
    "check_sources",
    "copies",
    "damaged",
    "find_store",
    "implausible_classes",
    "open_folder",
    "open_store",
    "store_path",
    "suspicious",
    "write_shapes",
]
