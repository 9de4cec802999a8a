"""Is it learnt? A concept inventory in two forms, taken before and after, and what a class's answers say."""
