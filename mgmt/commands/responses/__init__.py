"""Response schemas that several commands share."""
