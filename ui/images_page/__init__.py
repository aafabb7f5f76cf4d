"""Parts of the page Images: conditions, table, map, scores, and the chosen image."""
