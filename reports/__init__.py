"""Figures for those who lead: read from samples, never from memory. Read-only."""
