"""Networks as data: torchvision's, their pretrained encoders, and networks of the user's own."""

import hashlib

import pytest
import torch
import torchvision

from seglib.models import MODELS, build_model, load_encoder, model_spec, model_traits, weights
from seglib.models.spec import check_logits, own_source

OWN = """
from torch import nn

def make(*, n_classes):
    return nn.Conv2d(3, n_classes, 1)

def small(*, n_classes):
    return nn.Conv2d(3, n_classes, 3, stride=2)

def broken(*, n_classes):
    return nn.Conv2d(4, n_classes, 1)

def pair(*, n_classes):
    return nn.LSTM(16, 16) if n_classes else None

def ends(*, n_classes):
    raise SystemExit(3)

def nothing(*, n_classes):
    return n_classes

make.multiple = 4
pair.multiple = 0
number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_nets", raising=False)
    return tmp_path / "own_nets.py"


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.encoder])
def test_the_classifier_s_weights_fit_the_encoder(name, tmp_path):
    """Those of torchvision's ImageNet file, not downloaded: drawn here."""
    torch.manual_seed(3)
    spec = MODELS[name]
    classifier = spec.classifier_for("resnet18")
    whole = torchvision.models.get_model(classifier, weights=None)
    path = tmp_path / "w.pth"
    torch.save(whole.state_dict(), path)
    model = build_model(name, n_classes=2)
    encoder = model.get_submodule(spec.encoder)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    load_encoder(encoder, path, sha256=weights.file_sha256(path))
    assert all(map(torch.equal, encoder.parameters(), whole.parameters()))
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(k.startswith(f"{spec.encoder}.") for k in changed)


@pytest.mark.slow
def test_deeplab_alone_says_that_it_needs_two_crops():
    """Its batch norm over pooled features has one value a crop: torch itself refuses one."""
    crop = torch.zeros(1, 3, 32, 32)
    model = build_model("deeplabv3_resnet50", n_classes=2)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        model(crop)
    assert MODELS["deeplabv3_resnet50"].min_crops == 2
    for other in ("lraspp_mobilenet_v3_large", "fcn_resnet50"):
        assert build_model(other, n_classes=2)(crop).shape == (1, 2, 32, 32)
        assert MODELS[other].min_crops == 1


def test_a_network_of_the_user_s_own(own):
    spec = model_spec("own_nets:make")
    assert spec.multiple == 4 and model_spec("own_nets:small").multiple == 32
    assert spec.no_encoder and not spec.encoder and not spec.options
    check_logits("own_nets:make", spec)
    assert build_model("own_nets:make", n_classes=7)(torch.zeros(2, 3, 4, 8)).shape == (2, 7, 4, 8)
    found = hashlib.sha256(OWN.encode()).hexdigest()
    assert own_source("own_nets:make", expected=found) == found
    own.write_text(OWN + "\n")
    with pytest.raises(ValueError, match=f"must have sha256 {found[:12]}, got .*: it changed"):
        own_source("own_nets:make", expected=found)


@pytest.mark.parametrize("name", ["own_nets", "own_pack.nets"])
def test_the_source_of_a_network_is_hashed_without_running_it(own, name):
    """Nor the package around it: a study that someone else made names it."""
    ran = own.parent / "ran"
    source = f"open({str(ran)!r}, 'w')\n"
    (own.parent / "own_pack").mkdir()
    for path in (own, own.parent / "own_pack/__init__.py", own.parent / "own_pack/nets.py"):
        path.write_text(source)
    assert own_source(f"{name}:make") == hashlib.sha256(source.encode()).hexdigest()
    assert model_traits(f"{name}:make").no_encoder
    with pytest.raises(ValueError, match="must have sha256 aaaaaaaaaaaa, got .*: it changed"):
        own_source(f"{name}:make", expected="a" * 64)
    with pytest.raises(ValueError, match=f"No module named '{name}.more'"):
        own_source(f"{name}.more:make")
    assert not ran.exists()


@pytest.mark.parametrize(
    "name, message",
    [
        ("own_nets", "model must be one of unet, .*, got 'own_nets'; a network of your own is mod"),
        ("own_nets:", "model must be one of"),
        ("../own:make", "model must be one of"),
        ("no_nets:make", "module that can be imported, got ModuleNotFoundError: No module named"),
        ("own_nets:other", "must name a function of own_nets, got no other"),
        ("own_nets:number", "must be callable, got int"),
        ("own_nets:pair", "multiple of model own_nets:pair must be a whole number > 0, got 0"),
        ("own_nets:nothing", "must return a torch Module, got int"),
        ("own_nets:small", r"logits \(1, 3, 32, 64\) of images .*, got \(1, 3, 15, 31\)"),
        ("own_nets:broken", "must give logits .* got RuntimeError: "),
        ("own_nets:ends", "must give logits .* got SystemExit: 3"),
        ("sys:exit", "must come from a Python source file, .*, got no file"),
    ],
)
def test_what_is_wrong_with_a_network_is_one_line(own, name, message):
    with pytest.raises(ValueError, match=message) as error:
        spec = model_spec(name)
        own_source(name)
        check_logits(name, spec)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "forward, learns, message",
    [
        ("{'out': self.c(x)} if self.training else self.c(x)", True, "and learn, got dict"),
        ("self.c(x)[..., :2] if self.training else self.c(x)", True, r"got \(2, 3, 32, 2\)"),
        ("self.c(x)", False, "and learn, got RuntimeError: .* does not require grad"),
    ],
)
def test_a_network_that_cannot_train_is_refused(own, forward, learns, message):
    own.write_text(
        "from torch import nn\nclass Net(nn.Module):\n def __init__(self, n_classes):\n"
        "  super().__init__()\n  self.c = nn.Conv2d(3, n_classes, 1)\n"
        f"  self.requires_grad_({learns})\n def forward(self, x): return {forward}\n"
    )
    spec = model_spec("own_nets:Net")
    check_logits("own_nets:Net", spec)
    with pytest.raises(ValueError, match=r"logits \(2, 3, 32, 32\) of crops " + ".*" + message):
        check_logits("own_nets:Net", spec, crop_px=32)


def test_a_module_that_ends_the_program_is_named(own):
    own.write_text("raise SystemExit(3)\n")
    with pytest.raises(ValueError, match="own_nets:make .*, got SystemExit: 3"):
        model_spec("own_nets:make")


def test_a_module_that_fails_is_named(own):
    own.write_text("1 / 0\n")
    with pytest.raises(ValueError, match="got ZeroDivisionError: division by zero"):
        model_spec("own_nets:make")
