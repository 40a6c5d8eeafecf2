"""Colours that mean the same in the video and on the page, RGB."""

BOX_COLOUR = (255, 45, 85)
TRUTH_COLOUR = (40, 220, 90)
