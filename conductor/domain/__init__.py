"""Pure words and decisions: no clock, disk, process, network or logging. Time and chance are handed in."""
