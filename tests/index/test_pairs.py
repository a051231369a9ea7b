"""The nearest of several at once are those that a search for each would find."""

from __future__ import annotations

import numpy as np
import pytest
from hashing import hashed, write

from mesh.index import pairs


@pytest.fixture
def vault(home):
    for number in range(40):
        write(home, f"shared/{number:02}.md", f"word{number % 7} thing{number % 5} other{number % 3} lamp\n")
    with hashed(home) as mesh:
        mesh.reindex()
        yield mesh


def found(mesh, files, **options):
    cache, embedder = mesh.workspace.cache, mesh.workspace.embedder
    return pairs.nearest(cache.manifest, cache.matrix(embedder), files, **options)


def ids(mesh):
    return dict(mesh.workspace.cache.manifest.db.execute("SELECT path, file_id FROM files ORDER BY path"))


@pytest.mark.parametrize(("rows", "others"), [(512, 8192), (3, 7)])
def test_they_are_those_that_a_search_for_each_finds(vault, monkeypatch, rows, others):
    """In blocks of any size, with their cosines, best first, and none of those that were asked about."""
    monkeypatch.setattr(pairs, "_ROWS", rows)
    monkeypatch.setattr(pairs, "_OTHERS", others)
    known = ids(vault)
    texts = [vault.workspace.vault.read(path)[0].content for path in known]
    vectors = vault.workspace.embedder.embed(texts)
    cosines = dict(zip(known.values(), vectors @ vectors.T, strict=True))
    columns = list(known.values())
    asked = columns[::9]
    got = found(vault, asked, limit=4, least=0.2)
    assert [one.cosine for one in got] == sorted((one.cosine for one in got), reverse=True)
    for file in asked:
        best = sorted((cosines[file][i] for i, other in enumerate(columns) if other not in asked), reverse=True)
        best = [cosine for cosine in best[:4] if cosine >= 0.2]
        assert np.allclose([one.cosine for one in got if one.file == file], best, atol=1e-6)
    assert not {one.other for one in got} & set(asked)


def test_a_long_memory_is_as_near_as_its_best_passage(home):
    """Once, however many of its passages are near."""
    write(home, "shared/long.md", "lamp hall door " * 60 + "\n")
    write(home, "shared/short.md", "lamp hall door\n")
    with hashed(home) as mesh:
        mesh.reindex()
        got = found(mesh, [ids(mesh)["shared/short.md"]], limit=5, least=0.5)
    assert [(one.other, round(one.cosine, 2)) for one in got] == [(ids(mesh)["shared/long.md"], 1.0)]


def test_where_nothing_is_left_to_compare_with_nothing_is_found(vault):
    """All of them, or none."""
    assert found(vault, list(ids(vault).values()), limit=3, least=0.0) == []
    assert found(vault, [], limit=3, least=0.0) == []
