"""conductord: keeps N workers alive, hears what happens to them, and keeps the queue's house."""
