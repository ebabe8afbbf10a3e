"""How fast networks run here, what memory they take, how far results drift."""
