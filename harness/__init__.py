"""From a folder of pictures to the best submission that the clock allows."""

__version__ = "0.1.0"
