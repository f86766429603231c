"""Reading from the networks: one file per channel turns what it says into ``MentionData``. No database, no triage."""
