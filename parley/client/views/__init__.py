"""The lists of typists and places as one person sees them."""
