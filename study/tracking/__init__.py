"""The study in MLflow: the only folder that imports mlflow.

store        the address, whether it answers, its database, the files it hands out
schema       whether a database is MLflow's and of the installed version
answers      what a server's answer, or its silence, means
place        artifacts that lie in a folder here, and how files come there
moved        an output folder that was copied or moved: its artifacts are its own
known        what MLflow has of a run, read without mlflow where it is a SQLite file
experiment   one MLflow experiment: its runs by key, and what is written to them
names        what metrics are called there
child        one run directory as one MLflow run
projection   what of a study stands there, under which names
outbox       calls made from a thread until they succeed
sender       keeps it up to date while a study is under way
sync         sends by hand what is missing
fetch        reads a study back

Nothing is imported here, and mlflow only inside functions: it takes seconds.
"""
