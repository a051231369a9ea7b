"""What programs do when they save, as recorded, replayed to those who decide what is looked at."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from mesh import keeper as keeper_module
from mesh import lease
from mesh.keeper import Keeper
from mesh.kept import BURST_SECONDS, QUIET_SECONDS, Kept
from mesh.lease import WATCHING, Holder
from mesh.settings import Settings
from mesh.watcher import noted
from tests.keeping import SAVES, keeper_or_skip
from tests.record_traces import SAVED, recorded

TRACES = recorded()
EACH = [
    pytest.param([one for one in reports if one.occasion == occasion], id=f"{name}-{occasion}")
    for name, reports in TRACES.items()
    for occasion in ("new", "changed")
]
# A program may make a file under another name that is a memory's; what lies there in the end, its file says.
OTHERS = {"shared/Untitled.md"}


@pytest.fixture
def keeper(home, without_model):
    """One that has seen everything, and does nothing by itself."""
    keeper_or_skip(home)
    (home / "shared").mkdir()
    one = Keeper(replace(Settings.from_environment(), home=home), program="test")
    kept = Kept(home, "shared", None)
    kept.take_lease(Holder(1, 0.0, WATCHING, "test"))
    one._kept["shared"], one._around = kept, False
    kept.taken(polling=False)
    kept._scanned_at = keeper_module.time.monotonic()
    kept._changed = set()
    yield one
    kept.close()


def looked_at(reports):
    return {one.path for one in reports if one.path == SAVED or one.path in OTHERS}


def test_each_way_to_save_was_recorded():
    """Also those of programs that are not installed here."""
    assert set(TRACES) == {save.__name__.removeprefix("by_") for save in SAVES}
    assert all({one.occasion for one in reports} == {"new", "changed"} for reports in TRACES.values())


@pytest.mark.parametrize("reports", EACH)
def test_a_save_is_one_file_to_look_at_and_no_scan(reports):
    """Not what the program writes beside it, and never the whole namespace."""
    changed = set()
    for one in reports:
        changed = noted(changed, one.path, one.is_folder)
    assert changed == looked_at(reports)
    assert SAVED in changed


@pytest.mark.skipif(sys.platform != "linux", reason="leases are held on Linux only")
@pytest.mark.parametrize("reports", EACH)
def test_the_keeper_looks_once_soon_after_the_last_report(keeper, reports):
    """And at nothing else: what is hidden, and what is no memory, does not wake it."""
    kept = keeper._kept["shared"]
    idle = kept.due_at(polling=False)
    began = keeper_module.time.monotonic()
    for one in reports:
        keeper._on_event(one.path, one.is_folder, one.what)
    due = kept.due_at(polling=False)
    assert began + QUIET_SECONDS <= due <= min(kept._noted_last + QUIET_SECONDS, kept._noted_first + BURST_SECONDS)
    assert kept.taken(polling=False) == (looked_at(reports), [])
    assert kept.due_at(polling=False) == idle
    assert not keeper._around and not keeper._lost


@pytest.mark.skipif(sys.platform != "linux", reason="leases are held on Linux only")
@pytest.mark.parametrize("reports", EACH)
def test_a_question_amid_a_save_comes_after_what_was_reported_before_it(keeper, reports):
    """Wherever it falls: what is looked at before it is answered is what had happened by then, at once."""
    kept = keeper._kept["shared"]
    for number in range(len(reports) + 1):
        cookie = f"{lease.COOKIES}/shared~1-{number}"
        for one in reports[:number]:
            keeper._on_event(one.path, one.is_folder, one.what)
        keeper._on_event(cookie, False, "created")
        assert kept.due_at(polling=False) <= keeper_module.time.monotonic()
        for one in reports[number:]:
            keeper._on_event(one.path, one.is_folder, one.what)
        changed, cookies = kept.taken(polling=False)
        assert cookies == [cookie]
        assert changed == looked_at(reports)


@pytest.mark.skipif(sys.platform != "linux", reason="leases are held on Linux only")
def test_what_happens_to_folders_means_a_scan(keeper):
    """What lies below may have come or gone with it; hidden ones aside."""
    kept = keeper._kept["shared"]
    for path, scanned in (("shared/birds", True), ("shared/.git/refs", False), ("shared/.obsidian", False)):
        for what in ("created", "moved", "deleted"):
            keeper._on_event(path, True, what)
            assert (kept.taken(polling=False)[0] is None) is scanned
