"""What a session knows of its surroundings."""

import subprocess

import pytest

from study.commands import lock, session
from study.commands.name import study_name
from study.commands.place import check_name
from study.commands.request import Request
from study.study import StudyError
from tests.helpers import new_study


def test_untracked_files_change_no_code(tmp_path, monkeypatch):
    def git(*words):
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    here = tmp_path / "study" / "commands"
    here.mkdir(parents=True)
    (here / "session.py").write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "a")
    monkeypatch.setattr(session, "__file__", str(here / "session.py"))
    clean = session.git_commit()
    assert len(clean) == 12
    (tmp_path / "your-data").mkdir()
    (tmp_path / "your-data" / "a.jpg").write_text("")
    assert session.git_commit() == clean
    (here / "session.py").write_text("2")
    assert session.git_commit() == f"{clean}+"


def test_what_was_refused_leaves_no_folder(tmp_path):
    study = new_study(tmp_path / "s")
    with pytest.raises(StudyError), lock.study_lock(study):
        assert (study.path / "driver.lock").exists()
        raise StudyError("refused")
    assert not study.path.exists()
    with pytest.raises(StudyError), lock.study_lock(study):
        study.save()
        raise StudyError("refused later")
    assert (study.path / "study.json").exists()
    with lock.study_lock(study):
        pass


@pytest.mark.parametrize(
    "data, name",
    [
        ("my data", "losses-my-data"),
        ("Gr\u00f6\u00dfe & co.", "losses-Gr\u00f6\u00dfe-co"),
        ("\u202e\x1b[31m", "losses--31m"),
        ("x" * 250, None),
    ],
)
def test_a_study_is_named_after_any_folder(tmp_path, data, name):
    request = Request(verb="plan", matrix="losses", data=str(tmp_path / data))
    made = study_name(request)
    check_name(made)
    assert made == (name or made)
