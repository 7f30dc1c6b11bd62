"""What a session knows of its surroundings."""

import subprocess

from study.commands import session


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
