"""The same work done by popular libraries."""
