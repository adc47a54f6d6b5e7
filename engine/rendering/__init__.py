"""Pictures of masks: overlays, contact sheets, terminal previews. Turns arrays into arrays; no torch."""

from engine.rendering.colours import colour_of
from engine.rendering.overlay import overlay
from engine.rendering.sheet import contact_sheet

__all__ = ["colour_of", "contact_sheet", "overlay"]
