"""The flow of a job over the parts of encoding: the quick version, the plan of a ladder, its rungs, backfills and reports."""
