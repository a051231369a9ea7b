"""Who says something is embedded with it where several authors speak in a source, and only there."""

import pytest
from hashing import HashEmbedder, hashed, write

from mesh.index import authors


@pytest.fixture
def told(home):
    """A Mesh, and the texts that it embeds."""
    embedder = HashEmbedder()
    with hashed(home, embedder=embedder) as mesh:
        yield mesh, embedder.embedded


def turn(home, name, agent, text, source="talk"):
    write(home, f"shared/{name}.md", f"---\nagent: {agent}\nsource: {source}\n---\n{text}")


def test_one_author_is_not_named(home, told):
    """Its name before every text would only make them more alike."""
    mesh, texts = told
    turn(home, "a", "ann", "walrus")
    turn(home, "b", "ann", "heron")
    mesh.reindex()
    assert sorted(texts) == ["heron", "walrus"]


def test_two_authors_of_a_source_are_named(home, told):
    """In another source, and where there is none, nobody is."""
    mesh, texts = told
    turn(home, "a", "ann", "walrus")
    turn(home, "b", "ben", "heron")
    turn(home, "c", "ben", "otter", source="book")
    turn(home, "d", "ann", "newt", source='""')
    mesh.reindex()
    assert sorted(texts) == ["ann: walrus", "ben: heron", "newt", "otter"]


def test_a_second_author_names_the_first_one_too(home, told):
    """What was embedded before is embedded again; and when one leaves, the old vectors are still there."""
    mesh, texts = told
    turn(home, "a", "ann", "walrus")
    mesh.reindex()
    mesh.learn("heron", source="talk")
    mesh.reindex()
    assert texts == ["walrus", "tester: heron", "ann: walrus"]
    (home / "shared" / "a.md").unlink()
    mesh.reindex()
    assert texts[3:] == ["heron"]
    turn(home, "a", "ann", "walrus")
    mesh.reindex()
    assert texts[4:] == []


def test_several_authors(home):
    """Including one that is still to come; nobody is one author, too."""
    turn(home, "a", "ann", "walrus")
    with hashed(home) as mesh:
        mesh.reindex()
        db = mesh.workspace.cache.manifest.db
        assert not authors.several(db, "talk") and not authors.several(db, "talk", "ann")
        assert authors.several(db, "talk", "ben")
        assert not authors.several(db, "", "ben") and not authors.several(db, "book", "ben")
