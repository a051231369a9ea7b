"""Whatever is done to a vault, in whatever order, its cache ends up as one that is made anew from the files.

A Hypothesis state machine over a real folder. The machine learns, updates, forgets and restores through Mesh, and
edits, appends, renames, moves, copies, deletes, touches, spoils and repairs behind its back. It commits with git, goes
to other commits and spoils the repository, for what cannot be read is served as it was last good. After each refresh
all that can be observed of the cache must equal that of a cache which another process would make from nothing.

By default 60 examples of 20 steps. `MESH_STATE_MACHINE=1000x50` sets other numbers, for a night.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from hashing import HashEmbedder, hashed
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from mesh import embed
from mesh.errors import MeshError
from mesh.index import postings

EXAMPLES, STEPS = map(int, os.environ.get("MESH_STATE_MACHINE", "60x20").split("x"))

# False while a changed title does not change the vector: see test_refresh.py::test_a_changed_title_is_embedded.
TITLES_ARE_EMBEDDED = True

SECOND = HashEmbedder("second-8", 8)  # another model, whose vectors lie beside the first one's

WORDS = ["walrus", "octopus", "garden", "tusk", "deploy", "limit"]
CONTENTS = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join) | st.just(" ".join(WORDS * 20))
TAGS = st.sampled_from([None, ["sea"], ["sea", "ops"]])
NAMES = st.sampled_from([f"{name}.md" for name in ("a", "b", "c", "Weekly plan", "ü")])
FOLDERS = st.sampled_from(["", "one/", "two/", "one/deep/"])
QUESTIONS = ["walrus tusk", "octopus garden limit", "sea"]
FRONT = st.sampled_from(
    [
        "",
        "---\n---\n",
        "---\nid: hand-made-1\ntags: [sea]\n---\n",
        "---\nid: hand-made-1\ntype: decision\nsupersedes: hand-made-2\n---\n",
        "---\nid: hand-made-2\ncreated: 2026-01-31\nexpires: 2030-01-01\nconfidence: 0.5\n---\n",
        "---\ncreated: yesterday\nagent: ann\nsource: a book\n---\n",
        "---\nlocal_only: true\n---\n",
        "---\nid: hand-made-3\nrival_of: hand-made-1\n---\n",
    ]
)
BROKEN = st.sampled_from(
    [b"---\ntags: [a\n---\nwalrus\n", b"walrus \xff\n", b"walrus\0", b"<<<<<<< a\nx\n=======\ny\n>>>>>>> b\n", b""]
)
COLUMNS = (
    "path, state, digest, id, type, tags, agent, born, confidence, expires, local_only, source, text_digest, problems"
)


def observed(mesh):
    """All that can be seen of a cache, without what may differ: row numbers and stamps."""
    mesh.workspace.refresh()
    mesh.workspace.embed_all()
    answers = {}
    for question, options in zip(QUESTIONS, ({}, {"tags": ["sea"]}, {"include_local": False}), strict=True):
        answers[question] = sorted(
            (
                # Not the score: among equals it hangs on the last bit of a cosine, which differs with the rows' order.
                *(row[key] for key in ("path", "id", "content")),
                *(round(row[key], 4) for key in ("similarity", "bm25")),
                row["superseded_by"] or "",
            )
            for row in mesh.recall(question, 50, **options)
        )
    cache = mesh.workspace.cache  # whatever was wrong with it, the questions have found it
    cache.run(lambda: embed.embed_pending(mesh.workspace.vault, cache, SECOND))
    db = cache.manifest.db
    paths = dict(db.execute("SELECT file_id, path FROM files"))
    return {
        "files": sorted(db.execute(f"SELECT {COLUMNS} FROM files").fetchall()),
        "supersedes": sorted(db.execute("SELECT path, s.id FROM supersedes s JOIN files USING (file_id)").fetchall()),
        "quarantined": sorted(db.execute("SELECT path, digest, commit_id, good, local FROM quarantined").fetchall()),
        "disputed": sorted(db.execute("SELECT path, name FROM rivals JOIN files USING (file_id)").fetchall()),
        "served": sorted((row["path"], row["content"], str(row["quarantined"])) for row in mesh.inspect(None)),
        "words": sorted((paths[file_id], *entry) for file_id, *entry in postings.entries(db)),
        "passages": sorted(
            db.execute(
                "SELECT key, path, ordinal, start, stop, p.text_digest, checksum FROM passages p"
                " JOIN files USING (file_id) JOIN matrices USING (model)"
                " JOIN vectors v ON v.model = p.model AND v.text_digest = p.text_digest"
            ).fetchall()
        ),
        "answers": answers,
        "count": mesh.count(),
        "problems": mesh.problems(),
        "pending": (mesh.pending(), embed.pending(mesh.workspace.cache, SECOND)),
    }


def different(found, expected):
    """The first thing that differs, for a message that can be read."""
    if isinstance(found, dict):
        return next(f"{key}: {different(found[key], expected[key])}" for key in found if found[key] != expected[key])
    if isinstance(found, list) and len(found) == len(expected):
        return next(f"{one} is not {other}" for one, other in zip(found, expected, strict=True) if one != other)
    return f"{found} is not {expected}"


class Vault(RuleBasedStateMachine):
    """`files`: paths below the home of files that were there at some time; they may be gone, moved or spoilt."""

    files = Bundle("files")

    @initialize()
    def begin(self):
        self.home = Path(tempfile.mkdtemp(prefix="mesh-state-")) / "home"
        (self.home / "shared").mkdir(parents=True)
        self.mesh = hashed(self.home)
        self.dirty, self.commits = True, 0

    def teardown(self):
        self.mesh.close()
        shutil.rmtree(self.home.parent)

    def attempt(self, verb, *arguments, **options):
        """Use Mesh; a refusal that says what is wrong is an answer."""
        self.dirty = True
        try:
            return verb(*arguments, **options)
        except MeshError as error:
            assert str(error)
            return None

    def file(self, path):
        """The file, if it is there."""
        self.dirty = True
        return self.home / path if (self.home / path).is_file() else None

    # --- through Mesh ---------------------------------------------------------------------------------------------

    @rule(
        target=files,
        content=CONTENTS,
        tags=TAGS,
        local=st.booleans(),
        title=st.sampled_from(["", "walrus"] if TITLES_ARE_EMBEDDED else [""]),
    )
    def learn(self, content, tags, local, title):
        return self.attempt(self.mesh.learn, content, tags=tags, local_only=local, title=title)["path"]

    @rule(target=files, old=files, content=CONTENTS)
    def replace(self, old, content):
        row = self.attempt(self.mesh.get, old)
        done = row and self.attempt(self.mesh.learn, content, supersedes=row["id"])
        return done["path"] if done else old

    @rule(
        path=files,
        content=st.none() | CONTENTS,
        tags=TAGS,
        title=st.sampled_from([None, "", "octopus"] if TITLES_ARE_EMBEDDED else [None]),
    )
    def update(self, path, content, tags, title):
        self.attempt(self.mesh.update, path, content, tags=tags, title=title)

    @rule(path=files)
    def forget(self, path):
        self.attempt(self.mesh.forget, path)

    @rule(target=files, which=st.integers(0, 3))
    def restore(self, which):
        trashed = self.mesh.trashed()
        if len(trashed) <= which:
            return "shared/a.md"
        row = self.attempt(self.mesh.restore, trashed[which]["id"])
        return row["path"] if row else trashed[which]["path"]

    @rule(question=st.sampled_from(QUESTIONS))
    def recall(self, question):
        self.mesh.recall(question)

    @rule()
    def another_process_recalls(self):
        with hashed(self.home) as other:
            other.recall(QUESTIONS[0])

    # --- behind its back ------------------------------------------------------------------------------------------

    @rule(target=files, folder=FOLDERS, name=NAMES, front=FRONT, content=CONTENTS, local=st.booleans())
    def write(self, folder, name, front, content, local):
        path = f"{'_local/' if local else ''}shared/{folder}{name}"
        (self.home / path).parent.mkdir(parents=True, exist_ok=True)
        (self.home / path).write_text(f"{front}{content}\n")
        self.dirty = True
        return path

    @rule(path=files, content=CONTENTS)
    def append(self, path, content):
        if file := self.file(path):
            with file.open("a") as opened:
                opened.write(f"{content}\n")

    @rule(path=files)
    def edit_to_the_same_size_and_time(self, path):
        if file := self.file(path):
            data, times = file.read_bytes(), file.stat()
            with file.open("r+b") as opened:
                opened.write(data.replace(b"walrus", b"badger").replace(b"garden", b"walrus"))
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    @rule(path=files)
    def other_line_ends(self, path):
        if file := self.file(path):
            data = file.read_bytes()
            file.write_bytes(data.replace(b"\r\n", b"\n") if b"\r\n" in data else data.replace(b"\n", b"\r\n"))

    @rule(path=files, title=st.sampled_from(["walrus", "tusk"]))
    @precondition(lambda self: TITLES_ARE_EMBEDDED)
    def other_title(self, path, title):
        if (file := self.file(path)) and not (data := file.read_bytes()).startswith(b"---"):
            file.write_bytes(b"---\ntitle: " + title.encode() + b"\n---\n" + data)

    @rule(path=files, data=BROKEN)
    def spoil(self, path, data):
        if file := self.file(path):
            file.write_bytes(data)

    @rule(path=files, front=FRONT, content=CONTENTS)
    def repair(self, path, front, content):
        if file := self.file(path):
            file.write_text(f"{front}{content}\n")

    @rule(target=files, path=consumes(files), folder=FOLDERS, name=NAMES)
    def move(self, path, folder, name):
        goal = f"{'_local/' if path.startswith('_') else ''}shared/{folder}{name}"
        if file := self.file(path):
            (self.home / goal).parent.mkdir(parents=True, exist_ok=True)
            file.replace(self.home / goal)
        return goal

    @rule(target=files, path=files, folder=FOLDERS, name=NAMES, times=st.booleans())
    def copy(self, path, folder, name, times):
        goal = f"shared/{folder}{name}"
        if (file := self.file(path)) and path != goal:
            (self.home / goal).parent.mkdir(parents=True, exist_ok=True)
            (shutil.copy2 if times else shutil.copy)(file, self.home / goal)
        return goal

    @rule(one=files, other=files)
    def swap(self, one, other):
        first, second = self.file(one), self.file(other)
        if first and second and one != other:
            kept = first.with_suffix(".tmp")
            first.rename(kept)
            second.rename(first)
            kept.rename(second)

    @rule(path=consumes(files))
    def delete(self, path):
        if file := self.file(path):
            file.unlink()

    @rule(folders=st.sampled_from([("one", "two"), ("two", "one/deep"), ("one", "three"), ("three", "one")]))
    def rename_folder(self, folders):
        old, new = (self.home / "shared" / name for name in folders)
        self.dirty = True
        if old.is_dir() and not new.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)

    @rule(path=files, seconds=st.sampled_from([0, -100_000_000, 100_000_000, -1]), whole=st.booleans())
    def set_time(self, path, seconds, whole):
        if file := self.file(path):
            moment = time.time_ns() + seconds * 1_000_000_000
            os.utime(file, ns=(moment, moment // 10**9 * 10**9 if whole else moment))

    @rule(path=files)
    @precondition(lambda self: os.geteuid() != 0 if hasattr(os, "geteuid") else False)
    def lock_or_unlock(self, path):
        if file := self.file(path):
            file.chmod(0o600 if file.stat().st_mode & 0o777 == 0 else 0)

    def git(self, *arguments):
        self.dirty = True
        self.commits += 1
        at = f"{1_750_000_000 + self.commits} +0000"
        env = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
        person = ("-c", "user.name=Ana", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *person, *arguments], cwd=self.home / "shared", env=env, capture_output=True)
        return done.returncode == 0

    @rule()
    def commit(self):
        if (self.home / "shared/.git").is_dir() or self.git("init", "-q"):
            self.git("add", "-A")
            self.git("commit", "-qm", "more")

    @rule(path=files, data=BROKEN, committed=st.booleans())
    def commit_and_spoil(self, path, data, committed):
        """What the other rules seldom come to by themselves."""
        self.commit()
        self.spoil(path, data)
        if committed:
            self.commit()

    @rule(back=st.integers(1, 2))
    @precondition(lambda self: (self.home / "shared/.git").is_dir())
    def another_commit_is_checked_out(self, back):
        """Its files are not, so that only what is good may change."""
        self.git("update-ref", "--no-deref", "HEAD", f"HEAD~{back}")

    @rule(hostile=st.booleans())
    @precondition(lambda self: (self.home / "shared/.git").is_dir())
    def spoil_or_repair_the_repository(self, hostile):
        self.git("config", *(["core.sshCommand", "false"] if hostile else ["--unset", "core.sshCommand"]))

    @rule(spoil=st.sampled_from(["manifest.db", "vectors.npy", ""]))
    def lose_the_cache(self, spoil):
        self.mesh.close()
        folder = self.home / ".cache/shared"
        if spoil:
            (folder / spoil).unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        self.dirty = True

    @rule()
    def let_stamps_settle(self):
        time.sleep(0.055)

    # --- what must hold -------------------------------------------------------------------------------------------

    @invariant()
    def the_cache_is_what_a_new_one_would_be(self):
        if not getattr(self, "dirty", False):
            return
        self.dirty = False
        found = observed(self.mesh)
        cache, aside = self.home / ".cache/shared", self.home / ".cache/aside"
        self.mesh.workspace.cache.close()  # the same files, with the very same times, and no cache
        cache.rename(aside)
        try:
            with hashed(self.home, embedder=HashEmbedder()) as fresh:
                expected = observed(fresh)
        finally:
            shutil.rmtree(cache)
            aside.rename(cache)
        for what in expected:
            assert found[what] == expected[what], f"{what}: {different(found[what], expected[what])}"


TestVault = pytest.mark.filterwarnings("ignore")(Vault.TestCase)
TestVault.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
