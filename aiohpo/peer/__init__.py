"""What one peer decides: what to record, who may take a trial, what is lost, what is kept, when to end. Pure."""
