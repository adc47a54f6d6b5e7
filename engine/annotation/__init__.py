"""People who accept, reject and mend tracks: decisions that cannot be lost, prompts, re-propagation. No web in here."""
