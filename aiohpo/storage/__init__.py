"""What is on disk: journals, blobs, run directories."""
