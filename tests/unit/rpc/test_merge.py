"""One list out of several registries' answers."""

from kinema.model.discovery import Instance, Registry
from kinema.rpc.merge import STARTED, Merge


def one(name, port=1, started=0.0):
    return Instance("s", name, f"127.0.0.1:{port}", "home", "a", "0", {STARTED: str(started)})


def answer(*instances, settled=True, left=(), out=()):
    return Registry(version=1, instances=instances, settled=settled, left=left, out_of_service=out)


def names(merge):
    return [instance.instance for instance in merge.instances()]


def test_who_is_known_to_either_registry_is_there():
    merge = Merge()
    merge.heard("one", answer(one("a")))
    merge.heard("two", answer(one("b")))
    assert names(merge) == ["a", "b"]
    merge.heard("one", answer())
    assert names(merge) == ["b"]


def test_the_last_list_stays_when_all_registries_are_gone():
    merge = Merge()
    merge.heard("one", answer(one("a")))
    merge.lost("one")
    assert names(merge) == ["a"]
    assert not merge.answering


def test_a_restarted_registry_makes_nobody_vanish_until_it_is_settled():
    merge = Merge()
    merge.heard("one", answer(one("a"), one("b")))
    merge.lost("one")
    merge.heard("one", answer(settled=False))
    assert names(merge) == ["a", "b"]
    merge.heard("one", answer(one("a"), settled=False))
    assert names(merge) == ["a", "b"]
    merge.heard("one", answer(one("a")))
    assert names(merge) == ["a"]


def test_one_settled_registry_is_enough_to_believe_that_somebody_is_gone():
    merge = Merge()
    merge.heard("one", answer(one("a"), one("b")))
    merge.heard("two", answer(settled=False))
    merge.heard("one", answer(one("a")))
    assert names(merge) == ["a"]


def test_who_signs_off_at_a_young_registry_is_gone_at_once():
    merge = Merge()
    merge.heard("one", answer(one("a"), one("b"), settled=False))
    merge.heard("one", answer(one("a"), settled=False, left=("s/b",)))
    assert names(merge) == ["a"]


def test_the_later_start_wins_whichever_registry_says_so():
    for order in (("one", "two"), ("two", "one")):
        merge = Merge()
        answers = {"one": answer(one("a", 1, started=5.0)), "two": answer(one("a", 2, started=9.0))}
        for registry in order:
            merge.heard(registry, answers[registry])
        assert [instance.address for instance in merge.instances()] == ["127.0.0.1:2"]


def test_who_is_out_of_service_by_any_registrys_word_is_not_called():
    merge = Merge()
    merge.heard("one", answer(one("a"), one("b"), out=("s/a",)))
    merge.heard("two", answer(one("a"), one("b")))
    assert names(merge) == ["b"]
    merge.heard("one", answer(one("a"), one("b")))
    assert names(merge) == ["a", "b"]


def test_who_was_out_of_service_stays_out_when_all_registries_are_gone_or_have_just_begun():
    merge = Merge()
    merge.heard("one", answer(one("a"), one("b"), out=("s/a",)))
    merge.lost("one")
    assert names(merge) == ["b"]
    merge.heard("one", answer(one("b"), settled=False))
    assert names(merge) == ["b"]
    merge.heard("one", answer(one("a"), one("b"), settled=False))
    assert names(merge) == ["a", "b"]
