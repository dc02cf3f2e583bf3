"""Search, pages, the home page and snapshots, as pure functions of titles."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.core.errors import Conflict
from kinema.model.catalog import RungFact, Title
from kinema.services.catalog.collection import droppable
from kinema.services.catalog.home import arrange
from kinema.services.catalog.repository import VersionRow, iso
from kinema.services.catalog.search import find, words_of
from kinema.services.catalog.snapshot import SnapshotBody, newest_first, validate


def title(number, name="A film", shelf="New", billboard="", **facts):
    return msgspec.structs.replace(
        Title(
            title_id=f"ttl_{number:026}",
            title=name,
            synopsis="",
            year=None,
            genres=(),
            shelf=shelf,
            credits="",
            asset=f"ast_{number:026}",
            manifest_version=1,
            duration_seconds=60.0,
            rungs=(RungFact("video-360p", 640, 360, "avc1.64001e", 400_000),),
            complete=True,
            poster="",
            billboard=billboard,
            published_at=iso(1_700_000_000 + number),
        ),
        **facts,
    )


def search(titles, query, after=None, limit=100):
    return find(titles, [words_of(one) for one in titles], query, after, limit)


numbers = st.lists(st.integers(0, 200), unique=True, max_size=40)


@given(numbers, st.integers(1, 7), st.sampled_from(["", "film", "odd", "nothing"]))
def test_pages_hold_every_title_once_and_in_order(chosen, limit, query):
    titles = newest_first([title(n, "Odd film" if n % 2 else "Even", synopsis="a film") for n in chosen])
    whole = search(titles, query).titles
    paged, after = [], None
    while True:
        page = search(titles, query, after, limit)
        paged += page.titles
        assert len(page.titles) <= limit
        after = page.next
        if after is None:
            break
        assert len(page.titles) == limit
    assert tuple(paged) == whole


@given(numbers, numbers, st.integers(1, 5))
def test_titles_that_come_and_go_between_pages_disturb_no_others(before, later, limit):
    first = newest_first([title(n) for n in before])
    page = search(first, "", None, limit)
    if page.next is None:
        return
    second = newest_first([title(n) for n in later])
    rest = search(second, "", page.next).titles
    stayed = {one.title_id for one in first[len(page.titles) :]} & {one.title_id for one in second}
    assert stayed <= {one.title_id for one in rest}
    assert not {one.title_id for one in page.titles} & {one.title_id for one in rest}


def test_words_are_found_whatever_their_case_and_accents():
    titles = newest_first([title(1, "Amélie à Montréal"), title(2, "Tides", synopsis="A walk in Montreal"), title(3)])
    assert [one.title for one in search(titles, "MONTREAL").titles] == ["Amélie à Montréal", "Tides"]
    assert [one.title for one in search(titles, "mont amel").titles] == ["Amélie à Montréal"]
    assert search(titles, "real").titles == ()
    assert search(titles, "?!").titles == ()
    assert len(search(titles, "  ").titles) == 3


def test_new_stands_on_top_and_shelves_keep_their_places():
    titles = [title(1, shelf="Clips"), title(2, shelf="Studio"), title(3, shelf="Clips"), title(4, shelf="New")]
    home = arrange(7, newest_first(titles))
    assert [(row.name, len(row.titles)) for row in home.rows] == [("New", 1), ("Clips", 2), ("Studio", 1)]
    assert [one.title_id for one in home.rows[1].titles] == [titles[2].title_id, titles[0].title_id]
    assert home.billboard == titles[3]
    painted = arrange(8, newest_first([*titles[1:], title(1, shelf="Clips", billboard="/v1/artwork/x")]))
    assert painted.billboard.title_id == titles[0].title_id
    assert arrange(0, ()).billboard is None


@pytest.mark.parametrize(
    ("fault", "facts"),
    [
        ("has no name", {"title": ""}),
        ("has no manifest", {"asset": ""}),
        ("lasts nan", {"duration_seconds": float("nan")}),
        ("no rung", {"rungs": ()}),
    ],
)
def test_a_snapshot_with_a_title_that_cannot_play_is_not_valid(fault, facts):
    with pytest.raises(Conflict, match=fault):
        validate(SnapshotBody(1, 0.0, (title(2), title(1, **facts))))


def test_a_snapshot_with_a_title_twice_or_out_of_order_is_not_valid():
    with pytest.raises(Conflict, match="twice"):
        validate(SnapshotBody(1, 0.0, (title(1), title(1))))
    with pytest.raises(Conflict, match="order"):
        validate(SnapshotBody(1, 0.0, (title(1), title(2))))
    validate(SnapshotBody(1, 0.0, (title(2), title(1))))


def test_twenty_versions_the_needed_and_the_young_are_kept():
    rows = tuple(VersionRow(version, float(version), 1) for version in range(40, 0, -1))
    assert droppable(rows, {40, 3}, before=15.0) == [version for version in range(14, 0, -1) if version != 3]
    assert droppable(rows[:20], set(), before=100.0) == []
