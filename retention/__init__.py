"""What goes, what stays, and the proof: jobs over whole segments."""
