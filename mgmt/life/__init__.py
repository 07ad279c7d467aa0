"""The life of a VM after its import: start, stop, move, destroy, and the life of its volumes."""
