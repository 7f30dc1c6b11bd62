"""Loss parameters tuned per arm, equal budgets: the only folder that imports optuna.

`options` and `result` do without it, as it is slow to import; `opening.open_tuning` begins or
goes on with a tuning, `figures.draw` shows it.
"""
