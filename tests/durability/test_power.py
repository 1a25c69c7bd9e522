"""The machine loses its power right after a commit: what the page shows by then is not undone."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

from exporter.store.state_file import StateFile
from tests.durability.script import CLOUD, SCRIPT, Scene, counted


def test_a_commit_is_not_undone_where_the_directory_had_not_reached_the_disk(tmp_path: Path) -> None:
    """Kernels write a directory when they like: a journal that was removed may be there again, with all it held."""
    state, kept = tmp_path / "state.db", tmp_path / "kept"

    class Linking(sqlite3.Connection):
        """Keep the journal of each transaction under a second name, whatever becomes of the first."""

        def execute(self, statement: str, *rest: Any) -> sqlite3.Cursor:  # type: ignore[override]
            if statement == "COMMIT":
                kept.unlink(missing_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    os.link(f"{state}-journal", kept)
            return super().execute(statement, *rest)

    def connect(path: str, **options: Any) -> sqlite3.Connection:
        return sqlite3.connect(path, factory=Linking, **options)

    scene = Scene()
    store = StateFile(state, connect=connect, clock=scene.time.clock)
    scene.let_in(store)
    for number, step in enumerate(SCRIPT):
        scene.happen(step)
        scene.poll()
        image = tmp_path / str(number)
        image.mkdir()
        shutil.copy(state, image)
        if kept.exists():
            shutil.copy(kept, image / "state.db-journal")
        after = StateFile(image / "state.db", clock=scene.time.clock)
        assert counted(after.load(CLOUD).totals) == counted(store.totals(CLOUD))
        after.close()
