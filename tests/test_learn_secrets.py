"""What `learn` and `update` do with a text that looks like a secret."""

from __future__ import annotations

import logging

import pytest
from hashing import bytes_below, wordsonly, write
from secret_corpus import secret_notes

from mesh import codec
from mesh.errors import SecretFound
from mesh.memory import Memory
from mesh.portability.importing import import_records
from mesh.portability.record import Record

NOTES = {note.kind: note for note in secret_notes() if note.where == "prose"}
NOTE, OTHER = NOTES["github token"], NOTES["npm"]


@pytest.fixture
def mesh(home):
    with wordsonly(home) as opened:
        yield opened


def said(home, row):
    return codec.read((home / row["path"]).read_bytes(), row["path"])


def refused(call, *arguments, **options) -> SecretFound:
    with pytest.raises(SecretFound) as raised:
        call(*arguments, **options)
    return raised.value


def test_a_secret_is_refused_in_one_line_and_nothing_is_written(home, mesh, caplog):
    """Place, kind, line, and three ways on; the secret is neither in the error nor in a log or a file."""
    caplog.set_level(logging.DEBUG)
    error = refused(mesh.learn, f"How to deploy\n\n{NOTE.text}")
    name = error.fingerprints[0]
    assert str(error) == (
        "content, line 3: it looks like a secret (GitHub token: ghp_…). Leave it out; or keep it on this machine "
        f"(local_only); or, if it is none, say so (allow_secrets: {name})"
    )
    assert (error.exit_code, error.code) == (1, "secret_found")
    assert NOTE.secret not in f"{error!r} {error.__dict__} {caplog.text}" and bytes_below(home) == {}


def test_several_are_told_together(mesh):
    """So that a person has to say so once."""
    error = refused(mesh.learn, f"{NOTE.text}\n{OTHER.text}")
    assert ", and 1 more. " in str(error) and str(error).endswith(f"(allow_secrets: {', '.join(error.fingerprints)})")
    assert mesh.learn(f"{NOTE.text}\n{OTHER.text}", allow_secrets=error.fingerprints)["status"] == "stored"


def test_what_is_local_only_may_be_a_secret(home, mesh):
    """It never leaves this machine."""
    row = mesh.learn(NOTE.text, local_only=True)
    assert row["path"].startswith("_local/") and said(home, row).extra == {}


def test_the_name_of_a_file_never_holds_a_secret(mesh):
    """Names are printed, logged and listed, also those of what is local_only or allowed."""
    name = refused(mesh.learn, NOTE.secret).fingerprints[0]
    for row in (
        mesh.learn(f"{NOTE.secret} opens the door", local_only=True),
        mesh.learn("The lamp is lit", title=NOTE.secret, local_only=True),
        mesh.learn(f"It is {NOTE.secret} now", allow_secrets=[name]),
    ):
        assert row["path"].rpartition("/")[2].startswith("memory--")
    assert "the-lamp-is-lit" in mesh.learn("The lamp is lit")["path"]


def test_an_allowed_one_is_stored_with_its_name(home, mesh):
    """In the front matter, where everybody who gets the memory sees it; a name that was not needed is not kept."""
    name = refused(mesh.learn, NOTE.text).fingerprints[0]
    row = mesh.learn(NOTE.text, allow_secrets=["feedfeedfeed", name.upper()])
    assert said(home, row).extra == {"allow_secrets": [name]} and NOTE.secret in said(home, row).content
    assert mesh.update(row["memory_id"], f"It was {NOTE.secret} in spring")["content"].startswith("It was")


def test_an_update_brings_no_secret_in(home, mesh):
    """Nothing is written; with its name it is, beside what the front matter allowed before."""
    row = mesh.learn("The lamp is lit")
    before = bytes_below(home)
    name = refused(mesh.update, row["memory_id"], NOTE.text).fingerprints[0]
    assert bytes_below(home) == before
    mesh.update(row["memory_id"], NOTE.text, allow_secrets=[name])
    second = refused(mesh.update, row["memory_id"], f"{NOTE.text} {OTHER.text}").fingerprints
    mesh.update(row["memory_id"], f"{NOTE.text} {OTHER.text}", allow_secrets=second)
    assert said(home, row).extra == {"allow_secrets": [name, *second]}


def test_a_title_may_not_hold_one_either(mesh):
    """Nor may any other part."""
    assert refused(mesh.learn, "The lamp is lit", title=NOTE.secret).place == "title"
    row = mesh.learn("The lamp is lit")
    assert refused(mesh.update, row["memory_id"], title=NOTE.secret).place == "title"


def test_what_a_person_wrote_into_a_file_can_be_changed_and_allowed(home, mesh):
    """An update of something else is not refused for it; its name can be added without any other change."""
    path = write(home, "shared/a.md", f"---\nid: aaaa1111\n---\n{NOTE.text}\n")
    assert mesh.update("aaaa1111", tags=["night"])["tags"] == ["night"]
    name = refused(mesh.learn, NOTE.text).fingerprints[0]
    mesh.update("aaaa1111", allow_secrets=[name])
    assert codec.read((home / "shared/a.md").read_bytes(), "shared/a.md").extra == {"allow_secrets": [name]}, path


def test_an_import_leaves_secrets_out_and_says_where(home, mesh):
    """The others come in; with their names they come in, too, and in a file the name is added to its front matter."""

    def records():
        for number, text in enumerate(("The lamp is lit", NOTE.text), 1):
            yield Record(f"x: memory {number}", Memory("", text))
        data = f"---\nid: cccc1111\nkey: 'value'  # why\n---\n{OTHER.text}\n".encode()
        yield Record("b.md", codec.read(data, "b.md"), data, "b.md")

    result = import_records(mesh.workspace, records())
    assert (result.written, result.errors) == (1, 2)
    assert [(one.path, one.cause) for one in result.problems] == [
        ("x: memory 2", "content, line 1: it looks like a secret (GitHub token: ghp_…)"),
        ("b.md", "content, line 1: it looks like a secret (npm token: npm_…)"),
    ]
    names = [one.remedy.rpartition(" ")[2].rstrip(")") for one in result.problems]
    again = import_records(mesh.workspace, records(), allow_secrets=names)
    assert (again.written, again.errors) == (2, 0), again.problems
    text = (home / "shared/b.md").read_text()
    assert text.startswith(f"---\nid: cccc1111\nkey: 'value'  # why\nallow_secrets: [{names[1]}]\n---\n"), text
    assert import_records(mesh.workspace, records(), allow_secrets=names).written == 0
