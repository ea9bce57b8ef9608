"""Models behind one interface, one file each."""
