"""Loss parameters tuned per arm, equal budgets: the only folder that imports optuna."""
