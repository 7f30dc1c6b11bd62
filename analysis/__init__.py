"""From finished runs to tables, figures and a report; reads the files of a study, never a model.

Knows nothing of training, trackers or tuners.
"""
