"""What all studies share: their interface, the file of results, and the pages made from it."""
