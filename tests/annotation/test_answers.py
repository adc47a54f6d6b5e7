"""A whole piece of work over the server's questions: load, click, decide, undo, carry, review, fold."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotation_clips import CORNER, FRAMES, SQUARE, corner
from annotation_pages import ORIGIN, Page, Server, serving
from small_videos import HEIGHT, WIDTH, scene

from engine.masks import rle
from engine.store import StoreReader

IMAGES, MASKS = scene(FRAMES)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path) as made:
        yield made


def cell(mask: np.ndarray, **more: Any) -> dict[str, Any]:
    runs = rle.runs(rle.encode(mask))
    assert runs is not None
    return {"runs": runs.tolist(), **more}


def finished(page: Page, job: int) -> dict[str, Any]:
    for _ in range(200):
        found = next(j for j in page.ask("beat", after=0)["jobs"] if j["id"] == job)
        if found["state"] not in ("waiting", "running"):
            return found
        time.sleep(0.05)
    raise AssertionError("the job does not end")


def test_what_a_page_loads(server: Server) -> None:
    page = server.page()
    start = page.ask("start")
    assert start["me"] == {"name": "Anna", "role": "annotator"}
    assert (start["store"], start["sam"], start["models"]) == ("tracks.h5", "sam-tiny", ["dis"])
    clip = page.ask("clip")
    assert (clip["width"], clip["height"], clip["frames"], clip["ready"]) == (WIDTH, HEIGHT, list(range(6)), 6)
    assert [(t["id"], t["name"], t["states"]) for t in clip["tracks"]] == [(1, "square", "a6"), (2, "corner", "a6")]
    masks = {m["track"]: m["counts"].encode() for m in page.ask("masks", index=3)["masks"]}
    assert np.array_equal(rle.decode(masks[SQUARE], HEIGHT, WIDTH), MASKS[3])
    picture = page.client.get("/frames/3.jpg?clip=clip")
    assert picture.headers["content-type"] == "image/jpeg"
    assert page.client.get("/frames/9.jpg?clip=clip").status_code == 400


def test_click_take_undo_and_again(server: Server) -> None:
    page = server.page()
    offered = page.ask("offer", index=0, points=[[17.0, 22.0, 1], [50, 40, 0]], box=[8, 14, 26, 32])["candidates"]
    assert len(offered) == 3 and sum(o["chosen"] for o in offered) == 1
    assert [o["area"] for o in offered] == sorted(o["area"] for o in offered)
    chosen = cell(MASKS[0], score=0.8, stability=0.9, points=[[17, 22, 1]], candidate=1)
    added = page.ask("decide", action="add", frame=0, name="my square", tag="thing", cell=chosen)
    assert (added["track"]["name"], added["track"]["tag"], added["track"]["states"]) == ("my square", "thing", "f1m5")
    assert added["indices"] == [0]
    assert page.ask("undo")["track"] is None
    assert page.ask("undo", again=True)["track"]["id"] == added["id"]
    assert page.post("undo", again=True).status_code == 400


def test_a_double_is_named(server: Server) -> None:
    page = server.page()
    bench = server.bench
    offer = type("Offer", (), {})()
    from engine.annotation.candidates import Offer

    masks = np.stack([corner(), MASKS[0], np.roll(MASKS[0], 1, 1)])
    offer = Offer(masks, np.ones(3), np.ones(3), 0)
    bench.offerer.ask = lambda *given: offer  # type: ignore[method-assign]
    twins = [o["twin"] for o in page.ask("offer", index=0, points=[[1, 1, 1]])["candidates"]]
    assert twins[0] == {"track": CORNER, "name": "corner", "iou": 1.0}
    assert twins[1]["track"] == twins[2]["track"] == SQUARE
    assert 0.7 < twins[2]["iou"] < 1
    besides = page.ask("offer", index=0, points=[[1, 1, 1]], track=SQUARE)["candidates"]
    assert besides[1]["twin"] is None, "a track is not the double of itself"


def test_accept_reject_mend_empty(server: Server) -> None:
    page = server.page()
    page.ask("decide", action="judge", track=SQUARE, frames=[0, 1], state="accepted")
    page.ask("decide", action="judge", track=SQUARE, frames=[2], state="rejected")
    page.ask("decide", action="mend", track=SQUARE, frame=2, cell=cell(corner()))
    emptied = page.ask("decide", action="mend", track=SQUARE, frame=3, cell={"runs": [HEIGHT * WIDTH]})
    assert emptied["track"]["states"] == "c2f1e1a2"
    found = page.ask("track", track=SQUARE)
    assert [entry["action"] for entry in found["log"]] == ["accepted", "rejected", "mend", "empty"]
    assert {entry["who"] for entry in found["log"]} == {"Anna"}
    rest = page.ask("decide", action="accept_rest", track=SQUARE, least_iou=0)
    assert rest["track"]["status"] == "done"
    assert rest["progress"]["done"] == 1


def test_frames_that_agree_are_accepted_at_once(server: Server) -> None:
    page = server.page()
    page.ask("decide", action="mend", track=SQUARE, frame=4, cell=cell(corner()))
    page.ask("undo")
    agreement = page.ask("agreement", track=SQUARE)["agreement"]
    assert sorted(agreement) == ["1", "2", "3", "4", "5"] and min(agreement.values()) > 0.8
    beyond = page.post("agreement", track=SQUARE, indices=[1, 99999])
    assert (beyond.status_code, "no frame 99999" in beyond.text) == (400, True), beyond.text
    states = page.ask("decide", action="accept_rest", track=SQUARE, least_iou=0.8)["track"]["states"]
    assert states == "a1c5"


def test_carry_on_and_take_it_back(server: Server) -> None:
    page = server.page()
    page.ask("decide", action="mend", track=SQUARE, frame=2, cell=cell(MASKS[2]))
    page.ask("decide", action="judge", track=SQUARE, frames=[0], state="accepted")
    job = page.ask("carry", track=SQUARE, frame=2, direction="both", model="dis")["job"]
    done = finished(page, job["id"])
    assert (done["state"], done["done"], done["error"]) == ("done", 6, "")
    entry = page.ask("beat", after=0)["entries"][-1]
    assert (entry["action"], entry["model"], entry["count"]) == ("carry", "dis", 4)
    assert page.ask("track", track=SQUARE)["track"]["states"] == "c1a1f1a3"
    assert page.ask("undo")["indices"] == [1, 3, 4, 5]


def test_a_job_that_fails_says_why(server: Server) -> None:
    page = server.page()

    def broken() -> Any:
        raise MemoryError("too large")

    server.bench.models.trackers["dis"] = broken  # type: ignore[index]
    job = page.ask("carry", track=SQUARE, frame=2, direction="forwards", model="dis")["job"]
    assert finished(page, job["id"])["error"] == "MemoryError: too large"


def test_two_people_work_side_by_side(server: Server) -> None:
    anna, ben = server.page("Anna"), server.page("Ben")
    anna.ask("hold", track=SQUARE)
    refused = ben.post("decide", action="judge", track=SQUARE, frames=[0], state="accepted")
    assert (refused.status_code, refused.json()["error"].startswith("track 1: Anna is working on it")) == (409, True)
    ben.ask("decide", action="judge", track=CORNER, frames=[0], state="accepted")
    beat = anna.ask("beat", after=0)
    assert [(e["who"], e["track"]) for e in beat["entries"]] == [("Ben", CORNER)]
    assert {(h["track"], h["name"], h["mine"]) for h in beat["held"]} == {
        (SQUARE, "Anna", True),
        (CORNER, "Ben", False),
    }
    anna.ask("hold")
    ben.ask("decide", action="judge", track=SQUARE, frames=[0], state="accepted")


def test_review_goes_back_and_forth(server: Server) -> None:
    anna, sue = server.page("Anna"), server.page("Sue", "supervisor")
    anna.ask("decide", action="accept_rest", track=SQUARE, least_iou=0)
    anna.ask("hold")
    sent = sue.ask("decide", action="review", track=SQUARE, satisfactory=False, note="edge", frame=3)
    assert (sent["track"]["status"], sent["track"]["note"], sent["track"]["note_frame"]) == ("returned", "edge", 3)
    sue.ask("hold")
    anna.ask("decide", action="accept_rest", track=SQUARE, least_iou=0)
    anna.ask("hold")
    assert sue.ask("decide", action="review", track=SQUARE, satisfactory=True)["track"]["status"] == "approved"


def test_fold_and_fetch_the_store(server: Server, tmp_path: Path) -> None:
    page = server.page()
    page.ask("decide", action="mend", track=SQUARE, frame=2, cell=cell(corner()))
    page.ask("decide", action="accept_rest", track=SQUARE, least_iou=0)
    assert page.ask("save") == {"written": True, "unfolded": 0}
    with StoreReader(server.path) as store:
        assert store.clip("clip").tracks[0].review == "mended"
        assert np.array_equal(store.clip("clip").mask(2, SQUARE), corner())
    (tmp_path / "fetched.h5").write_bytes(page.client.get("/store").content)
    with StoreReader(tmp_path / "fetched.h5") as store:
        assert len(list(store.clip("clip").records())) == 2 * FRAMES


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "explode"}, "is nothing that can be decided"),
        ({"action": "judge", "track": "1", "frames": [0], "state": "accepted"}, "track is not a whole number"),
        ({"action": "judge", "track": 1, "frames": [-1], "state": "accepted"}, "frames is not a list"),
        ({"action": "mend", "track": 1, "frame": 0, "cell": {"runs": [5]}}, "does not have the size of the frame"),
        ({"action": "mend", "track": 1, "frame": 0, "cell": {}}, "runs is not a list"),
        ({"action": "mend", "track": 1, "frame": 0, "cell": {"runs": [3072], "points": [[0, float(1), 7]]}}, "points"),
        ({"action": "accept_rest", "track": 1, "least_iou": 3}, "least_iou is not a number from 0 to 1"),
    ],
)
def test_wrong_fields_are_refused(server: Server, fields: dict[str, Any], message: str) -> None:
    answer = server.page().post("decide", **fields)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert server.project.unfolded == 0


def test_points_outside_of_the_frame_are_refused(server: Server) -> None:
    answer = server.page().post("offer", index=0, points=[[WIDTH + 1, 2, 1]])
    assert "outside of the frame of 64x48" in answer.json()["error"]


@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000b"])
def test_a_name_that_cannot_be_stored_is_refused(server: Server, name: str) -> None:
    page = server.page()
    body = f'{{"action": "describe", "track": 1, "name": "{name}"}}'
    headers = {"origin": ORIGIN, "x-page": page.id}
    answer = page.client.post("/api/decide?clip=clip", content=body, headers=headers)
    assert (answer.status_code, "name is not text" in answer.text) == (400, True), answer.text


def test_numbers_beyond_all_floats_are_refused(server: Server) -> None:
    page = server.page()
    for fields in ({"points": [[10**400, 1, 1]]}, {"box": [1, 2, 3, 10**400]}, {"points": [[1e300, 1, 1]]}):
        answer = page.post("offer", index=0, **fields)
        assert (answer.status_code, "is not a number" in answer.text) == (400, True), answer.text
