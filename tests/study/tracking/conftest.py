"""One output folder, so one MLflow database, for all tests; a study of its own for each."""

import os

import pytest

from study.tracking.sync import sync
from tests.study.tracking.studies import aggregate, in_mlflow, make_study


@pytest.fixture(scope="session")
def out(tmp_path_factory):
    return tmp_path_factory.mktemp("tracking")


@pytest.fixture(scope="session")
def uri(out):
    return f"sqlite:///{out / 'mlflow.db'}"


@pytest.fixture(scope="session")
def clean(out, uri):
    """What MLflow holds of a study when nothing goes wrong."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    study = make_study(out, "clean")
    done = sync(study, out, aggregate(study))
    assert (done.n_runs, done.n_sent, done.problems) == (6, 6, [])
    return in_mlflow(uri, "clean")
