"""Claims end when their holder says so or is not heard of any more."""

from engine.annotation.locks import Locks

TRACK = ("clip", 1)


def test_one_holder_at_a_time() -> None:
    locks = Locks()
    assert locks.claim(TRACK, "a", "Anna") is None
    assert locks.claim(TRACK, "a", "Anna") is None
    assert locks.claim(TRACK, "b", "Ben") == "Anna"
    locks.release(TRACK, "b")
    assert locks.claim(TRACK, "b", "Ben") == "Anna"
    locks.release_all("a")
    assert locks.claim(TRACK, "b", "Ben") is None
    assert locks.held() == {TRACK: ("b", "Ben")}


def test_a_page_that_is_closed_loses_its_claims() -> None:
    now = [0.0]
    locks = Locks(lasting=20, clock=lambda: now[0])
    locks.claim(TRACK, "a", "Anna")
    now[0] = 19
    locks.hear("a")
    now[0] = 38
    assert locks.claim(TRACK, "b", "Ben") == "Anna"
    now[0] = 40
    assert locks.claim(TRACK, "b", "Ben") is None
