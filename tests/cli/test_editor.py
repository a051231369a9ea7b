"""`mesh learn --edit` and `mesh edit`, with shell scripts as editors."""

from __future__ import annotations

from mesh import codec

MINE = "---\nid: 01kb2x7m9q4dk2wc\ntags: [api]\n---\nThe old text\n"


def test_learn_edit_stores_what_the_editor_left(home, run, editor):
    """VISUAL or EDITOR with arguments of its own; the file it gets begins with the words that were given."""
    env = editor('cat "$1" > "$MESH_HOME/seen"; printf "written\\nby hand\\n" > "$1"')
    ran = run("learn", "--edit", "a", "beginning", env=env)
    path = ran.out.strip().split("\t")[2]
    assert codec.read((home / path).read_bytes(), path).content == "written\nby hand"
    assert (home / "seen").read_text() == "a beginning"
    again = run("learn", "-e", env=editor('echo visual > "$1"') | {"VISUAL": "sh -c 'echo two words > \"$0\"'"})
    assert "two-words" in again.out


def test_an_editor_that_leaves_nothing_stores_nothing(run, editor, untouched):
    """As git does with an empty message: exit 2, one line."""
    before = untouched()
    ran = run("learn", "--edit", env=editor(': > "$1"'))
    assert (ran.code, ran.out) == (2, "")
    assert "empty" in ran.said
    assert untouched() == before


def test_an_editor_that_fails_stores_nothing(run, editor, untouched, tmp_path):
    """Its status is told; one that is not there is told as well."""
    before = untouched()
    ran = run("learn", "--edit", "text", env=editor('echo text > "$1"; exit 3'))
    assert ran.code != 0 and ran.out == ""
    assert "status 3" in ran.said
    ran = run("learn", "--edit", "text", env={"EDITOR": str(tmp_path / "no-such-editor")})
    assert ran.code != 0 and ran.out == ""
    assert "no-such-editor" in ran.said and "EDITOR" in ran.said
    assert untouched() == before


def test_edit_opens_the_file_itself_and_recall_sees_what_was_saved(run, write, editor):
    """Every byte is the editor's."""
    file = write("it.md", MINE)
    ran = run("edit", "01kb", env=editor('sed -i "s/old/new/" "$1"'))
    assert (ran.code, ran.out, ran.err) == (0, "01kb2x7m9q4dk2wc\tsaved\tshared/it.md\n", "")
    assert file.read_text() == MINE.replace("old", "new")
    assert "The new text" in run("recall", "text").out


def test_an_edit_that_changes_nothing_says_so(run, write, editor):
    """On stderr, exit 0."""
    write("it.md", MINE)
    ran = run("edit", "01kb", env=editor("true"))
    assert (ran.code, ran.out) == (0, "")
    assert "nothing was changed" in ran.said


def test_an_edit_that_breaks_the_front_matter_is_told_with_its_line(run, write, editor):
    """The file stays as it was saved, the exit is 1, and the same command opens it again by its path."""
    file = write("it.md", MINE)
    ran = run("edit", "01kb", env=editor('sed -i "s/tags: .*/tags: [api]]/" "$1"'))
    assert (ran.code, ran.out) == (1, "")
    assert "shared/it.md:3: " in ran.said
    assert "tags: [api]]\n" in file.read_text()
    mended = run("edit", "shared/it.md", env=editor('sed -i "s/tags: .*/tags: [api, two]/" "$1"'))
    assert (mended.code, mended.err) == (0, "")
    assert run("show", "01kb", "--json").json()["tags"] == ["api", "two"]


def test_an_edit_with_a_lesser_problem_is_saved_and_told(run, write, editor):
    """A confidence of 7 is data about the file: it is served, and the line is named on stderr."""
    write("it.md", MINE)
    ran = run("edit", "01kb", env=editor('sed -i "s/tags: .*/confidence: 7/" "$1"'))
    assert (ran.code, ran.out) == (0, "01kb2x7m9q4dk2wc\tsaved\tshared/it.md\n")
    assert "shared/it.md:3: " in ran.said


def test_an_editor_that_fails_leaves_the_file_as_it_is(run, write, editor):
    """The exit is not 0, and what the message says about storing is true."""
    file = write("it.md", MINE)
    ran = run("edit", "01kb", env=editor("exit 1"))
    assert ran.code != 0 and ran.out == ""
    assert "status 1" in ran.said
    assert file.read_text() == MINE


def test_an_editor_that_deletes_the_file_is_told(run, write, editor):
    """The memory is gone, and nothing crashes."""
    write("it.md", MINE)
    ran = run("edit", "01kb", env=editor('rm "$1"'))
    assert "gone" in ran.said
    assert run("list").out == ""


def test_an_edit_may_move_the_id(run, write, editor):
    """Whoever changes the id by hand gets the new one told."""
    write("it.md", MINE)
    ran = run("edit", "01kb", env=editor('sed -i "s/^id: .*/id: another-id/" "$1"'))
    assert ran.out.startswith("another-id\t")
