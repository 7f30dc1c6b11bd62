"""Segmentation on torch, torchvision, NumPy and Pillow: data, models, losses, metrics, training.

Knows nothing of studies, trackers, tuners or command lines.
"""
