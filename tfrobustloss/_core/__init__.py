"""What every part stands on. It knows no loss; each module is its own face."""
