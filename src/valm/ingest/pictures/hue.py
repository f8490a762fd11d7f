"""Another colour for the same picture: every hue turned by the same angle.

Shape, shading and transparency stay, and so do black, white and grey, which have no hue.
"""

from __future__ import annotations

from PIL import Image

STEPS = 256  # of Pillow's hue circle


def hue_turned(image: Image.Image, degrees: int) -> Image.Image:
    """A picture (RGB or RGBA) whose hues are turned: by 120 degrees red becomes green, green blue."""
    hue, saturation, value = image.convert("RGB").convert("HSV").split()
    turn = round(degrees * STEPS / 360)
    turned = hue.point([(step + turn) % STEPS for step in range(STEPS)])
    found = Image.merge("HSV", (turned, saturation, value)).convert("RGB")
    if image.mode == "RGBA":
        found.putalpha(image.getchannel("A"))
    return found
