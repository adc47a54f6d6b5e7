"""Who makes clips, and what happens when they are lost: every clip once, whatever dies."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from executor_toys import ToyRecipe, counted, toy_tasks, write_toy

from engine.errors import Interrupted, MugvosError, OutputError, StoreError, UsageError
from engine.generation.batch import Batch, Summary
from engine.generation.executors import crew as crews
from engine.generation.executors.actors import RayCrew, Share, shared_out
from engine.generation.executors.crew import Broken, Crew, CrewExecutor, Done, Event, Lost, Ready
from engine.generation.executors.local import LocalExecutor
from engine.generation.executors.processes import ProcessCrew, seats_of
from engine.generation.executors.work import Job, Seat, perform
from engine.generation.quality import QualitySettings
from engine.generation.watch import Watch
from engine.store import StoreReader
from engine.store.lock import FolderLock

TOYS = Path(__file__).parent
LONG = 240.0
DRIVER = f"""
import sys; sys.path.insert(0, {str(TOYS)!r})
from pathlib import Path
from test_executors import make_all
if __name__ == "__main__":
    make_all(Path(sys.argv[1]), *sys.argv[2:])
"""


def processes(log: Path) -> CrewExecutor:
    return CrewExecutor(ProcessCrew(ToyRecipe(log), seats_of(["cpu"], 2, 2)))


def run(
    log: Path, executor: object, names: tuple[str, ...], retry: bool = False, watch: Watch | None = None
) -> Summary:
    """A run of the toys called so, its output and its log in one folder."""
    parameters = {"what": "toys", "names": list(names)}
    with Batch(log / "out.h5", parameters, retry=retry) as batch:
        tasks = batch.tasks(lambda failed: toy_tasks(*names))
        return batch.run(tasks, executor, QualitySettings(), watch or Watch())  # type: ignore[arg-type]


def make_all(log: Path, *names: str) -> Summary:
    with processes(log) as executor:
        return run(log, executor, names)


def clips(log: Path) -> list[str]:
    with StoreReader(log / "out.h5") as store:
        return list(store.clips)


@pytest.fixture
def ray_here(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("PYTHONPATH", str(TOYS))  # its workers import the toys


def check_lost_workers(log: Path, executor: CrewExecutor) -> None:
    """A clip that killed its worker once, one whose worker died behind it, one that kills every worker."""
    with executor:
        assert executor.begin() == {"model": "toy", "weights": "none"}
        summary = run(log, executor, ("ok-1", "die-1", "late-1", "poison-1", "bad-1", "ok-2"))
    assert clips(log) == ["die-1", "late-1", "ok-1", "ok-2"]
    assert {f.name for f in summary.failures} == {"bad-1", "poison-1"}
    assert "3 workers were lost" in next(f.reason for f in summary.failures if f.name == "poison-1")
    assert counted(log, "done") == {"ok-1": 1, "ok-2": 1, "die-1": 1, "late-1": 1}
    assert counted(log, "made") == {"ok-1": 1, "ok-2": 1, "die-1": 2, "late-1": 1, "poison-1": 3, "bad-1": 1}


def test_processes_that_are_lost(tmp_path: Path) -> None:
    check_lost_workers(tmp_path, processes(tmp_path))
    with processes(tmp_path) as executor:
        again = run(tmp_path, executor, ("ok-1", "die-1", "late-1", "poison-1", "bad-1", "ok-2"))
    assert again.earlier == 4 and len(again.failures) == 2
    assert counted(tmp_path, "made")["ok-1"] == 1


@pytest.mark.slow
def test_actors_that_are_lost(tmp_path: Path, ray_here: None) -> None:
    try:
        crew = RayCrew(ToyRecipe(tmp_path), None, 2, "cpu")
    except UsageError as error:
        pytest.skip(f"Ray does not come up here: {error}")
    check_lost_workers(tmp_path, CrewExecutor(crew))


def test_a_driver_that_is_killed(tmp_path: Path) -> None:
    """Its workers go, and whoever comes next makes what is missing, nothing twice."""
    names = ("ok-1", "ok-2", "slow-1", "slow-2")
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(tmp_path), *names])
    wait_for(lambda: {"slow-1", "slow-2"} <= set(counted(tmp_path, "made")))
    driver.kill()
    driver.wait()
    (tmp_path / "go").write_text("")
    assert make_all(tmp_path, *names).failures == []
    assert clips(tmp_path) == sorted(names)
    done = counted(tmp_path, "done")
    assert done["ok-1"] == done["ok-2"] == 1
    assert not (tmp_path / "out.h5.clips").exists()


def test_stopping(tmp_path: Path) -> None:
    watch = Watch(should_stop=lambda: bool(counted(tmp_path, "made")["slow-1"]))
    with processes(tmp_path) as executor, pytest.raises(Interrupted):
        run(tmp_path, executor, ("slow-1", "ok-1", "slow-2"), watch=watch)
    assert not (tmp_path / "out.h5").exists()
    (tmp_path / "go").write_text("")
    assert make_all(tmp_path, "slow-1", "ok-1", "slow-2").made.clips == 3


def test_here_a_fault_of_ours_leaves_out_one_clip(tmp_path: Path) -> None:
    executor = LocalExecutor(ToyRecipe(tmp_path), Seat())
    summary = run(tmp_path, executor, ("ok-1", "bug-1"))
    assert [f.name for f in summary.failures] == ["bug-1"] and "this is a bug" in summary.failures[0].reason
    with pytest.raises(StoreError, match="none of the clips"):
        run(tmp_path / "other", executor, ("bug-1",))


@pytest.mark.parametrize("whole", [True, False])
def test_a_run_that_was_killed_while_its_output_got_its_name(tmp_path: Path, whole: bool) -> None:
    folder = tmp_path / "out.h5.clips"
    folder.mkdir()
    (folder / "published").write_text("")
    write_toy(folder / "merged.h5" if whole else tmp_path / "out.h5", "ok-1")
    with pytest.raises(OutputError, match="exists already"):
        Batch(tmp_path / "out.h5", {})
    assert clips(tmp_path) == ["ok-1"] and not folder.exists()


def test_a_clip_that_somebody_is_at_still_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = FolderLock(tmp_path, tmp_path / "x.h5")
    maker = ToyRecipe(tmp_path).build(Seat(), lambda note: None)
    tries: list[int] = []

    def make(self: object, job: Job, *told: object) -> None:
        tries.append(1)
        if len(tries) == 3:
            lock.release()
        FolderLock(tmp_path, job.store).release()
        write_toy(job.store, "ok-1")

    monkeypatch.setattr(type(maker), "make", make)
    job = Job(toy_tasks("ok-1")[0], tmp_path / "x.h5")
    assert perform(job, maker, lambda *told: None, lambda: False).reason is None
    assert len(tries) == 3


def test_a_folder_that_a_worker_does_not_see(tmp_path: Path) -> None:
    maker = ToyRecipe(tmp_path).build(Seat(), lambda note: None)
    job = Job(toy_tasks("ok-1")[0], tmp_path / "gone" / "x.h5")
    with pytest.raises(StoreError, match="cannot be seen by a worker"):
        perform(job, maker, lambda *told: None, lambda: False)


class FakeCrew:
    """Workers that do what a script says: for each job that is given, the event that comes of it."""

    def __init__(self, script: Callable[[int, Job], Event], parameters: list[dict[str, int]] | None = None) -> None:
        self.size = 3
        self._script = script
        self._parameters = parameters or [{"a": 1}]
        self._events: list[Event] = []
        self._hired = 0
        self.closed = False

    def hire(self) -> int:
        self._hired += 1
        parameters = self._parameters[(self._hired - 1) % len(self._parameters)]
        self._events.append(Ready(self._hired, parameters=parameters))
        return self._hired

    def give(self, worker: int, job: Job) -> None:
        self._events.append(self._script(worker, job))

    def wait(self, seconds: float) -> list[Event]:
        return [self._events.pop(0)] if self._events else []

    def stop(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def jobs_of(folder: Path, count: int, taken: list[int]) -> Iterator[Job]:
    for place, task in enumerate(toy_tasks(*(f"ok-{i}" for i in range(count)))):
        taken.append(place)
        yield Job(task, folder / f"{place}.h5")


def test_few_clips_are_under_way_at_once(tmp_path: Path) -> None:
    taken: list[int] = []
    crew: Crew = FakeCrew(lambda worker, job: Done(worker, reason=None))
    done = 0
    for _ in CrewExecutor(crew).run(jobs_of(tmp_path, 500, taken), 500, Watch()):
        done += 1
        assert len(taken) - done <= crew.size + 1
    assert done == 500


def test_workers_that_never_begin(tmp_path: Path) -> None:
    crew = FakeCrew(lambda worker, job: Done(worker, reason=None))
    crew.hire = lambda: crew._events.append(Lost(0, how="no memory")) or 0  # type: ignore[method-assign,func-returns-value]
    with pytest.raises(StoreError, match=r"lost before they begin \(no memory\)"):
        CrewExecutor(crew).begin()


def test_workers_that_differ(tmp_path: Path) -> None:
    crew = FakeCrew(lambda worker, job: Done(worker, reason=None), [{"a": 1}, {"a": 2}])
    with pytest.raises(StoreError, match=r"different ways: a \(was 1, now 2\)"):
        list(CrewExecutor(crew).run(jobs_of(tmp_path, 5, []), 5, Watch()))


def test_what_would_meet_every_worker_ends_the_run(tmp_path: Path) -> None:
    full = OutputError("x.h5: cannot be written, no space left on the disk")
    crew = FakeCrew(lambda worker, job: Broken(worker, error=full))
    with pytest.raises(MugvosError, match="no space left"), CrewExecutor(crew) as executor:
        list(executor.run(jobs_of(tmp_path, 5, []), 5, Watch()))
    assert crew.closed


def test_many_deaths_leave_no_depth_behind(tmp_path: Path) -> None:
    """Each clip is lost twice, and the third worker makes it."""
    seen: dict[str, int] = {}

    def script(worker: int, job: Job) -> Event:
        seen[job.task.name] = seen.get(job.task.name, 0) + 1
        return Lost(worker, how="killed") if seen[job.task.name] < crews.ATTEMPTS else Done(worker, reason=None)

    outcomes = list(CrewExecutor(FakeCrew(script)).run(jobs_of(tmp_path, 2000, []), 2000, Watch()))
    assert len(outcomes) == 2000 and all(outcome.reason is None for outcome in outcomes)


@pytest.mark.parametrize(
    ("resources", "workers", "device", "expected"),
    [
        ({"CPU": 64.0, "GPU": 8.0}, None, "auto", (8, Share(4, 1))),
        ({"CPU": 64.0, "GPU": 8.0}, 3, "cuda", (3, Share(4, 1))),
        ({"CPU": 64.0, "GPU": 8.0}, None, "cpu", (16, Share(4, 0))),
        ({"CPU": 2.0}, None, "auto", (1, Share(2, 0))),
        ({"CPU": 4.0}, 4, "auto", (4, Share(1, 0))),
    ],
)
def test_what_each_actor_gets(
    resources: dict[str, float], workers: int | None, device: str, expected: tuple[int, Share]
) -> None:
    assert shared_out(resources, workers, device) == expected


def test_no_gpu_in_the_cluster() -> None:
    with pytest.raises(UsageError, match="no GPU"):
        shared_out({"CPU": 8.0}, None, "cuda")


def test_seats() -> None:
    assert seats_of(["cuda:0", "cuda:1"], 3, 12) == [Seat("cuda:0", 4), Seat("cuda:1", 4), Seat("cuda:0", 4)]


def wait_for(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)
