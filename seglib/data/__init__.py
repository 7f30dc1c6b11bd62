"""Images with masks: the folder layout, the embedded set, the decoded store, the augmentation."""
