"""The page of `mugvos annotate`: the server, and what it serves. Decisions are engine.annotation's."""
