"""Speech to text: recordings of any length cut where it is quiet, written down window by window, and put together."""
