"""What other libraries say of the same logits.

Not asked, because they are wrong: kornia (Tversky ignores which side, Lovasz sorts the labels) and
segmentation_models_pytorch's Tversky (its power comes after the mean over classes).
"""

import itertools

import pytest
import torch
import torch.nn.functional as F

from tests.seglib.losses.oracles import C, batch, value


@pytest.mark.parametrize(
    "fp_weight, fn_weight, exponent, smooth, over, expected",
    [
        (1, 1, 1, 1, "batch", 0.826598623564),
        (0.5, 0.5, 1, 0.5, "batch", 0.722622079491),
        (0.3, 0.7, 1, 1, "image", 0.669144954633),
        (0.3, 0.7, 4 / 3, 1, "batch", 0.646638504530),
        (0.4, 0.6, 2, 0.1, "image", 0.553002466560),
    ],
)
def test_jdt_losses(fp_weight, fn_weight, exponent, smooth, over, expected):
    """Numbers made with zifuwanggg/JDTLosses 4d2b2a2: alpha, beta, gamma, mIoUD or mIoUI."""
    found = value(
        "focal_tversky",
        *batch(),
        fp_weight=fp_weight,
        fn_weight=fn_weight,
        exponent=exponent,
        smooth=smooth,
        over=over,
    )
    assert found == pytest.approx(expected, abs=1e-11)


@pytest.mark.slow
def test_monai():
    """It has no void and counts all classes; its focal loss also divides by the channels."""
    import monai.losses as monai

    how = {"to_onehot_y": True, "softmax": True, "batch": True}
    for n_classes in (C, C - 1):  # all there; one absent
        logits, masks = batch(n_classes, void=False)
        index = masks.unsqueeze(1)
        for found, theirs in (
            (
                value("dice", logits, masks, classes="all", smooth=2),
                monai.DiceLoss(**how, smooth_nr=2, smooth_dr=2),
            ),
            (
                value("tversky", logits, masks, classes="all", fp_weight=0.2, fn_weight=0.9),
                monai.TverskyLoss(**how, alpha=0.2, beta=0.9, smooth_nr=1, smooth_dr=1),
            ),
            (
                value("generalised_dice", logits, masks, classes="all"),
                monai.GeneralizedDiceLoss(**how, smooth_nr=0, smooth_dr=0),
            ),
            (
                value("dice", logits, masks, classes="all", background="out", smooth=2),
                monai.DiceLoss(**how, include_background=False, smooth_nr=2, smooth_dr=2),
            ),
        ):
            assert found == pytest.approx(float(theirs(logits, index)), rel=1e-5)
        focal = monai.FocalLoss(to_onehot_y=True, use_softmax=True, gamma=1.7)
        assert value("focal", logits, masks, gamma=1.7) == pytest.approx(
            C * float(focal(logits, index)), rel=1e-5
        )


@pytest.mark.slow
def test_segmentation_models_pytorch():
    """Its Dice and Jaccard count absent classes as 0 in the mean: asked where all are there."""
    import segmentation_models_pytorch.losses as smp

    logits, masks = batch(C)
    for name, s, theirs in (("dice", 2, smp.DiceLoss), ("jaccard", 1, smp.JaccardLoss)):
        theirs = theirs("multiclass", smooth=1.0, ignore_index=255)  # half of s in its Dice
        assert value(name, logits, masks, smooth=s) == pytest.approx(float(theirs(logits, masks)))
    for n_classes, per_image in itertools.product((C, C - 1), (False, True)):
        logits, masks = batch(n_classes)
        theirs = smp.LovaszLoss("multiclass", per_image=per_image, ignore_index=255)
        over = "image" if per_image else "batch"
        assert value("lovasz", logits, masks, over=over) == pytest.approx(
            float(theirs(logits.float(), masks)), rel=1e-5
        )


def test_torch():
    """Its weighted mean divides by the weights of the pixels there, ours by the pixels."""
    logits, masks = batch()
    weights = torch.tensor([0.5, 2.0, 1.0, 3.0], dtype=torch.float64)
    total = F.cross_entropy(logits, masks, weights, ignore_index=255, reduction="sum")
    assert value("ce", logits, masks, class_weights=weights) == pytest.approx(
        float(total / (masks != 255).sum())
    )
    rows, labels = logits.movedim(1, -1)[masks != 255], masks[masks != 255]
    assert value("bce", logits, masks) == pytest.approx(
        float(F.binary_cross_entropy_with_logits(rows, F.one_hot(labels, C).double()))
    )
