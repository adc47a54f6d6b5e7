"""One run of `mugvos generate`: its videos through a batch, with progress for people and a summary at the end."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugvos_cli import console
from mugvos_cli.clips_progress import clips_progress
from mugvos_cli.interrupt import stoppable

if TYPE_CHECKING:
    from engine.generation.batch import Summary
    from engine.generation.executors.interface import Executor
    from engine.generation.plan import ClipTask, Split
    from engine.generation.quality import QualitySettings
    from engine.store.parts import Parts


@dataclass(frozen=True)
class Sources:
    """videos: (name, source) of all; chosen: those of this run, `part` (i, n) of them where it is a shard."""

    videos: list[tuple[str, str]]
    chosen: list[tuple[str, str]]
    part: tuple[int, int] | None
    split: "Split"

    def parameters(self, made_with: dict[str, Any]) -> dict[str, Any]:
        """All that tells this run from others."""
        return {**made_with, "videos": [source for _, source in self.chosen], "split": asdict(self.split)}

    def parts(self, made_with: dict[str, Any]) -> "Parts | None":
        """Which shard of which run the output is; None for a run that is not divided.

        A run is known by the names of its videos, which may lie elsewhere on each machine.
        """
        from engine.store.manifest import Manifest
        from engine.store.parts import Parts

        if self.part is None:
            return None
        run = {**made_with, "videos": [name for name, _ in self.videos], "split": asdict(self.split)}
        return Parts.of_shard(Manifest(run).digest[:16], *self.part)


def run_batch(
    sources: Sources,
    executor: "Executor",
    quality: "QualitySettings",
    output: Path,
    overwrite: bool,
    retry_failed: bool,
) -> "Summary":
    """Make all clips of the sources and write the output."""
    from engine.generation.batch import Batch
    from engine.store.spool import spooled_output
    from engine.video.spool import stdin_again

    made_with = dict(executor.begin())
    if made_with["weights"] == "random":
        console.warn(f"{made_with['model']} has random weights; its masks mean nothing")
    parameters, parts = sources.parameters(made_with), sources.parts(made_with)
    again = stdin_again()  # to plan, to make clips, and to run them backwards
    with again, spooled_output(output) as target, Batch(target, parameters, overwrite, retry_failed, parts) as work:
        return _run(work, work.tasks(lambda failed: _planned(sources, failed)), executor, quality)


def _planned(sources: Sources, failed: Any) -> list["ClipTask"]:
    from engine.generation.plan import plan

    with console.progress("planning", len(sources.chosen)) as planned:
        return plan(sources.chosen, sources.split, failed, planned)


def _run(work: Any, tasks: list["ClipTask"], executor: "Executor", quality: "QualitySettings") -> "Summary":
    from engine.generation.executors.local import LocalExecutor
    from engine.generation.watch import Watch

    alone = isinstance(executor, LocalExecutor)
    with stoppable() as should_stop, clips_progress(len(tasks), alone) as shown:
        watch = Watch(
            shown.begin,
            shown.advance,
            shown.done,
            shown.joined,
            lambda name, reason: console.error(f"{name}: {reason}"),
            should_stop,
        )
        summary: Summary = work.run(tasks, executor, quality, watch)
        return summary


def sum_up(summary: "Summary", output: Path, json: bool) -> None:
    """Say what came of the run. Raises PartialError where clips failed."""
    made = summary.made
    if summary.earlier:
        console.info(f"{console.counted(summary.earlier, 'clip')} had been finished earlier")
    left_out = f", {console.counted(made.left_out, 'track')} left out" if made.left_out else ""
    counts = ", ".join(console.counted(getattr(made, f"{what}s"), what) for what in ("clip", "track", "mask"))
    if made.clips:
        console.info(f"{output}: {counts}{left_out}")
    if json:
        console.emit_json(
            {
                "schema": 1,
                "output": str(output),
                "clips": made.clips,
                "tracks": made.tracks,
                "masks": made.masks,
                "left out": made.left_out,
                "failed": [{"name": failure.name, "reason": failure.reason} for failure in summary.failures],
            }
        )
    sum_up_failures([failure.name for failure in summary.failures], made.clips)


def sum_up_failures(failed: list[str], made: int) -> None:
    """Raise PartialError that names some of the clips that failed, where any did."""
    from engine.errors import PartialError

    if failed:
        shown = ", ".join(failed[:5]) + (", ..." if len(failed) > 5 else "")
        raise PartialError(
            f"{len(failed)} of {len(failed) + made} clips failed: {shown}", "mend them and pass --retry-failed"
        )
