"""From mentions to cases: intake, the transition table, the one door to a case, what follows from events."""
