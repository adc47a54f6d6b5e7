"""The commands by name: where each one is, one line about it, and its place in the help. Imports nothing heavy."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One line of the table of commands. The module holds one function of the command's name, or a Typer `app`."""

    module: str
    help: str
    group: str


COMMANDS: dict[str, Entry] = {
    "generate": Entry("generate", "Make mask tracks from raw video.", "Work"),
    "propagate": Entry("propagate", "Carry masks of some frames through a video.", "Work"),
    "evaluate": Entry("evaluate", "Score masks against ground truth (J, F, J&F).", "Work"),
    "visualize": Entry("visualize", "Draw mask tracks over their video.", "Work"),
    "annotate": Entry("annotate", "Accept, reject and mend tracks in the browser.", "Work"),
    "train": Entry("train", "Train a model on videos with masks.", "Work"),
    "convert": Entry("convert", "Read masks in one format, write them in another; merge stores.", "Files"),
    "info": Entry("info", "Say what a mask store holds.", "Files"),
    "models": Entry("models", "List, fetch and convert weights.", "Setup"),
    "doctor": Entry("doctor", "Check what this machine has and what is missing.", "Setup"),
    "demo": Entry("demo", "Make a clip, then propagate, score and draw it.", "Setup"),
}
