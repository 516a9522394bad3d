"""The parts of scripts/bench: what is measured, how, and what each figure is held to."""
