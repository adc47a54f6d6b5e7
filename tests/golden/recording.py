"""An Asker that keeps what it was asked and what it answered, for comparison with recordings."""

from typing import Any

from engine.models.sam.asking import Answers, Asker, Question
from engine.models.sam.prompting import Embedding


class RecordingAsker(Asker):
    """`log`: (question, answers) of every call since it was emptied."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.log: list[tuple[Question, Answers]] = []

    def ask(self, embedding: Embedding, question: Question, decoder: Any = None) -> Answers:
        answers = super().ask(embedding, question, decoder)
        self.log.append((question, answers))
        return answers
