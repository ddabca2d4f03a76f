"""Tests of the database block."""
