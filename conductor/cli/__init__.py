"""The front door: `conductor` and `conductord`. Each command imports what it needs when it runs."""
