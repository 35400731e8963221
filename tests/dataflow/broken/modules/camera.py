"""What the dataflows of this folder name; never run."""
