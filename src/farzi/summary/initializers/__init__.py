"""Initial summaries: from teachers, from classes of events, from transitions, at random."""
