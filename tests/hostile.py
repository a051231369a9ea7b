"""Repositories that somebody means harm with, made by git's own plumbing: each a branch of one bare repository.

`build` makes them all; `CASES` says of each what must come of it. Whatever could run would touch the file CANARY.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

LAMP = b"The lamp in the hall is lit\n"
FILE, PROGRAM, LINK, FOLDER, REPOSITORY = "100644", "100755", "120000", "40000", "160000"

Entries = list[tuple[str, bytes, str]]  # mode, name, id


@dataclass(frozen=True)
class Case:
    """`fetch`: what git says, which then refuses to take it; `refused`: of the tree; `left_out`: path to cause."""

    build: Callable[[Forge], Entries]
    fetch: str = ""
    refused: str = ""
    left_out: dict[str, str] = field(default_factory=dict)
    honest: bool = True  # whether lamp.md, beside it, comes in


class Forge:
    """A bare repository into which anything can be put."""

    def __init__(self, path: Path, canary: Path) -> None:
        self.path, self.canary = path, canary
        self.env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        self.env |= {
            f"GIT_{who}_{what}": "m@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
        }
        subprocess.run(
            ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(path)], check=True, env=self.env
        )
        self._known: dict[tuple[str, bytes], str] = {}

    def git(self, *arguments: str, given: bytes = b"") -> str:
        command = ["git", f"--git-dir={self.path}", *arguments]
        return (
            subprocess.run(command, input=given, check=True, capture_output=True, env=self.env).stdout.decode().strip()
        )

    def put(self, kind: str, data: bytes) -> str:
        if (kind, data) not in self._known:
            name = self.git("hash-object", "-t", kind, "-w", "--literally", "--stdin", given=data)
            self._known[kind, data] = name
        return self._known[kind, data]

    def blob(self, data: bytes) -> str:
        return self.put("blob", data)

    def tree(self, entries: Entries) -> str:
        """A tree with these entries as they are, sorted as git sorts them."""
        ordered = sorted(entries, key=lambda entry: entry[1] + (b"/" if entry[0] == FOLDER else b""))
        data = b"".join(f"{mode} ".encode() + name + b"\0" + bytes.fromhex(of) for mode, name, of in ordered)
        return self.put("tree", data)

    def commit(self, entries: Entries, *parents: str) -> str:
        above = [part for parent in parents for part in ("-p", parent)]
        return self.git("commit-tree", self.tree(entries), *above, "-m", "Notes")

    def branch(self, name: str, commit: str) -> None:
        self.git("update-ref", f"refs/heads/{name}", commit)

    def at(self, path: bytes, data: bytes = LAMP, mode: str = FILE) -> Entries:
        """One file, in folders."""
        *folders, name = path.split(b"/")
        entries = [(mode, name, self.blob(data))]
        for folder in reversed(folders):
            entries = [(FOLDER, folder, self.tree(entries))]
        return entries

    @property
    def payload(self) -> bytes:
        return f"#!/bin/sh\ntouch {self.canary}\n".encode()


def build(forge: Forge) -> dict[str, str]:
    """Every case as a branch of its name; their commits."""
    lamp = forge.at(b"lamp.md")
    commits = {}
    for name, case in CASES.items():
        entries = case.build(forge)
        taken = {entry[1] for entry in entries}
        commits[name] = forge.commit(entries + [entry for entry in lamp if entry[1] not in taken])
        forge.branch(name, commits[name])
    return commits


def one(path: str | bytes, data: bytes = LAMP, mode: str = FILE) -> Callable[[Forge], Entries]:
    raw = path.encode() if isinstance(path, str) else path
    return lambda forge: forge.at(raw, data, mode)


def payload(path: str | bytes, mode: str = PROGRAM) -> Callable[[Forge], Entries]:
    raw = path.encode() if isinstance(path, str) else path
    return lambda forge: forge.at(raw, forge.payload, mode)


def entry(name: bytes, data: bytes = LAMP) -> Callable[[Forge], Entries]:
    """A name as it is, slashes included."""
    return lambda forge: [(FILE, name, forge.blob(data))]


def both(*builds: Callable[[Forge], Entries]) -> Callable[[Forge], Entries]:
    return lambda forge: [found for build in builds for found in build(forge)]


def submodule(forge: Forge) -> Entries:
    return [(REPOSITORY, b"sub", "1" * 40)]


def bare(forge: Forge) -> Entries:
    """What runs a program as soon as git runs in the folder."""
    config = f"[core]\nrepositoryformatversion=0\nbare=true\nfsmonitor=touch {forge.canary}\n".encode()
    inside = [
        (FILE, b"HEAD", forge.blob(b"ref: refs/heads/main\n")),
        (FILE, b"config", forge.blob(config)),
        (FILE, b"note.md", forge.blob(LAMP)),
        *forge.at(b"objects/keep", b""),
        *forge.at(b"refs/keep", b""),
    ]
    return [(FOLDER, b"docs", forge.tree(inside))]


def billions(forge: Forge) -> Entries:
    """Ten folders in each of ten folders, ten times over."""
    entries: Entries = [(FILE, b"%d.md" % n, forge.blob(LAMP)) for n in range(10)]
    for _ in range(9):
        below = forge.tree(entries)
        entries = [(FOLDER, b"%d" % n, below) for n in range(10)]
    return entries


def very_many(forge: Forge) -> Entries:
    """A quarter of a million files, of one blob."""
    below = forge.tree([(FILE, b"%03d.md" % n, forge.blob(LAMP)) for n in range(500)])
    return [(FOLDER, b"%03d" % n, below) for n in range(500)]


def front(*lines: str) -> bytes:
    return "\n".join(["---", *lines, "---", "The door is shut", ""]).encode()


ALIASES = front(
    "a: &a [x, x, x, x, x, x, x, x, x]",
    *(f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
)
MERGES = front(
    "a: &a {x: 1}", *(f"{b}: &{b} {{<<: [*{a}, *{a}, *{a}]}}" for a, b in zip("abcdefgh", "bcdefghi", strict=True))
)
CONFLICT = b"---\nid: aaaa1111\n---\n<<<<<<< ours\nshut\n=======\nopen\n>>>>>>> theirs\n"
GIT = "take for .git"

CASES: dict[str, Case] = {
    "link-to-a-file": Case(one("link.md", b"/etc/passwd", LINK), left_out={"link.md": "symbolic link"}),
    "link-to-a-folder": Case(one("team", b"../../..", LINK), left_out={"team": "symbolic link"}),
    "link-as-attributes": Case(
        one(".gitattributes", b"/etc/passwd", LINK), left_out={".gitattributes": "symbolic link"}
    ),
    "link-as-modules": Case(
        one(".gitmodules", b"/etc/passwd", LINK), fetch="gitmodulesSymlink", left_out={".gitmodules": "symbolic link"}
    ),
    "submodule": Case(submodule, left_out={"sub": "another repository"}),
    "submodule-that-runs": Case(
        both(
            submodule,
            lambda f: f.at(
                b".gitmodules",
                b'[submodule "sub"]\n\tpath = sub\n\turl = ext::sh -c "touch %s"\n' % os.fsencode(f.canary),
            ),
        ),
        left_out={"sub": "another repository", ".gitmodules": "fetch other repositories"},
    ),
    "submodule-with-an-option": Case(
        both(submodule, one(".gitmodules", b'[submodule "sub"]\n\tpath = sub\n\turl = --upload-pack=./x\n')),
        fetch="gitmodulesUrl|disallowed submodule url",
        left_out={"sub": "another repository", ".gitmodules": "fetch other repositories"},
    ),
    "submodule-of-a-strange-name": Case(
        both(submodule, one(".gitmodules", b'[submodule "../../x"]\n\tpath = sub\n\turl = https://example.org/x\n')),
        fetch="gitmodulesName|disallowed submodule name",
        left_out={"sub": "another repository", ".gitmodules": "fetch other repositories"},
    ),
    "bare-repository": Case(bare, left_out={"docs": "a repository of its own"}),
    "dot-git": Case(payload(".git/hooks/post-checkout"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-in-capitals": Case(payload(".GIT/config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-below": Case(payload("team/.Git/config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-short-name": Case(payload("git~1/config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-other-short-name": Case(payload("GIT~2/config"), refused=GIT, honest=False),
    "dot-git-ignored-character": Case(payload(".g\u200cit/config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-with-a-dot": Case(payload(".git./config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-with-a-space": Case(payload(".git /config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-stream": Case(payload(".git::$INDEX_ALLOCATION/config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-backslash": Case(payload("x\\.git\\config"), fetch="hasDotgit", refused=GIT, honest=False),
    "dot-git-full-width": Case(payload("．ｇｉｔ/config"), refused=GIT, honest=False),
    "dot-git-a-file": Case(one(".git", b"gitdir: /tmp/elsewhere\n"), fetch="hasDotgit", refused=GIT, honest=False),
    "up": Case(one("../evil.md"), fetch="hasDotdot", refused="leads out", honest=False),
    "up-in-one-name": Case(entry(b"../evil.md"), fetch="fullPathname", refused="leads out", honest=False),
    "dot": Case(one("./evil.md"), fetch="hasDot\\b", refused="leads out", honest=False),
    "absolute": Case(entry(b"/etc/cron.d/evil.md"), fetch="fullPathname", refused="begins with /", honest=False),
    "slash-in-a-name": Case(entry(b"a/evil.md"), fetch="fullPathname", left_out={}),
    "no-name": Case(
        entry(b""),
        fetch="emptyName|empty filename|not properly sorted|pack-objects died",
        refused="empty filename|empty part",
        honest=False,
    ),
    "backslashes": Case(one("..\\..\\evil.md"), left_out={"..\\..\\evil.md": "not every file system"}),
    "drive": Case(one("C:evil.md"), left_out={"C:evil.md": "not every file system"}),
    "stream": Case(one("evil.md:hidden.md"), left_out={"evil.md:hidden.md": "not every file system"}),
    "twice": Case(
        both(entry(b"evil.md"), entry(b"evil.md", b"other\n")), fetch="duplicateEntries", refused="twice", honest=False
    ),
    "attributes-union": Case(one(".gitattributes", b"*.md merge=union\n"), left_out={".gitattributes": "merge=union"}),
    "attributes-filter": Case(one(".gitattributes", b"*.md filter=evil\n"), left_out={".gitattributes": "filter"}),
    "attributes-ident": Case(one("team/.gitattributes", b"* ident\n"), left_out={"team/.gitattributes": "ident"}),
    "attributes-line-ends": Case(one(".gitattributes", b"* text eol=crlf\n"), left_out={".gitattributes": "eol="}),
    "attributes-encoding": Case(
        one(".gitattributes", b"*.md working-tree-encoding=UTF-16\n"), left_out={".gitattributes": "encoding"}
    ),
    "attributes-macro": Case(
        one(".gitattributes", b"[attr]evil merge=union\n*.md evil\n"), left_out={".gitattributes": "attr"}
    ),
    "ignore-memories": Case(one(".gitignore", b"# notes\n*.md\n!lamp.md\n"), left_out={".gitignore": "hides memories"}),
    "ignore-all": Case(one(".gitignore", b"*\n"), left_out={".gitignore": "hides memories"}),
    "huge-ignore": Case(one(".gitignore", b"x\n" * 40_000), left_out={".gitignore": "more than 65,536 bytes"}),
    "hooks-as-data": Case(payload("hooks/post-merge")),
    "huge-memory": Case(one("huge.md", b"x" * ((1 << 20) + 1)), left_out={"huge.md": "larger than"}),
    "huge-file": Case(one("huge.bin", b"\0" * (40 << 20))),
    "case-twins": Case(
        one("Lamp.md", b"The lamp is out\n"),
        left_out={"Lamp.md": "only in case", "lamp.md": "only in case"},
        honest=False,
    ),
    "folder-twins": Case(
        both(one("Team/a.md"), one("team/b.md")), left_out={"Team/a.md": "only in case", "team/b.md": "only in case"}
    ),
    "file-and-folder-twins": Case(
        both(one("LAMP.md/a.md")), left_out={"LAMP.md/a.md": "only in case", "lamp.md": "only in case"}, honest=False
    ),
    "decomposed": Case(one("cafe\u0301.md"), left_out={"cafe\u0301.md": "form NFC"}),
    "decomposed-twin": Case(both(one("cafe\u0301.md"), one("caf\u00e9.md")), left_out={"cafe\u0301.md": "form NFC"}),
    "ligature-twin": Case(
        both(one("ﬁle.md"), one("file.md")), left_out={"ﬁle.md": "only in case", "file.md": "only in case"}
    ),
    "reserved": Case(one("CON.md"), left_out={"CON.md": "Windows reserves"}),
    "reserved-folder": Case(one("nul.txt/a.md"), left_out={"nul.txt/a.md": "Windows reserves"}),
    "trailing-dot": Case(one("team./a.md"), left_out={"team./a.md": "ends with a dot"}),
    "trailing-space": Case(one("team /a.md"), left_out={"team /a.md": "space"}),
    "escape-sequence": Case(
        one("a\x1b[2J\x1b]0;evil\x07.md"), left_out={"a\\x1b[2J\\x1b]0;evil\\x07.md": "cannot be seen"}
    ),
    "line-break": Case(one("a\nmesh: all is well.md"), left_out={"a\\nmesh: all is well.md": "cannot be seen"}),
    "right-to-left": Case(one("a\u202edm.exe.md"), left_out={"a\\u202edm.exe.md": "cannot be seen"}),
    "zero-width": Case(one("la\u200bmp.md"), left_out={"la\\u200bmp.md": "cannot be seen"}),
    "joiner-twin": Case(
        one("la\u200dmp.md"),
        left_out={"la\\u200dmp.md": "only in case", "lamp.md": "only in case"},
        honest=False,
    ),
    "joiner": Case(one("\U0001f469\u200d\U0001f4bb \u0646\u0645\u06cc\u200c\u062f\u0627\u0646\u0645.md")),
    "not-utf-8": Case(one(b"caf\xe9.md"), left_out={"caf\\xe9.md": "not UTF-8"}),
    "long-name": Case(one("x" * 300 + ".md"), left_out={"x" * 197 + "...": "too long"}),
    "deep": Case(one("d/" * 100 + "a.md"), left_out={("d/" * 100 + "a.md")[:197] + "...": "too long"}),
    "option": Case(one("--upload-pack=evil.md"), left_out={"--upload-pack=evil.md": "hyphen"}),
    "aliases": Case(one("bomb.md", ALIASES), left_out={"bomb.md": "anchor|alias"}),
    "merge-keys": Case(one("bomb.md", MERGES), left_out={"bomb.md": "anchor|alias|merge"}),
    "tag": Case(one("bomb.md", front("a: !!python/object/apply:os.system [touch x]")), left_out={"bomb.md": "tag"}),
    "duplicate-keys": Case(
        one("bomb.md", front("id: aaaa1111", "agent: ann", "agent: bob")), left_out={"bomb.md": "twice|duplicate"}
    ),
    "long-front-matter": Case(one("bomb.md", front("a: " + "x" * 70_000)), left_out={"bomb.md": "65,536|characters"}),
    "nested-front-matter": Case(
        one("bomb.md", front("a: " + "[" * 200 + "]" * 200)), left_out={"bomb.md": "deep|nested"}
    ),
    "conflict": Case(one("conflict.md", CONFLICT), left_out={"conflict.md": "unresolved merge"}),
    "nul": Case(one("nul-byte.md", b"a\0b\n"), left_out={"nul-byte.md": "NUL"}),
    "latin-1": Case(one("latin.md", b"caf\xe9\n"), left_out={"latin.md": "not valid UTF-8"}),
    "local-folder": Case(one("_local/shared/a.md"), left_out={"_local/shared/a.md": "Mesh's own"}),
    "local-folder-in-capitals": Case(one("_LOCAL/a.md"), left_out={"_LOCAL/a.md": "Mesh's own"}),
    "cache-folder": Case(one(".cache/shared/manifest.db"), left_out={".cache/shared/manifest.db": "Mesh's own"}),
    "local-only": Case(one("local.md", front("local_only: true")), left_out={"local.md": "says local_only"}),
    "billions-of-files": Case(billions, refused="its list of files is longer than", honest=False),
    "very-many-files": Case(very_many, refused="more than 200,000 entries", honest=False),
    "strange-mode": Case(one("odd.md", LAMP, "100777")),
}
