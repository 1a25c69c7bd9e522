"""What is exposed: the catalogue of families, and the pages made from it."""
