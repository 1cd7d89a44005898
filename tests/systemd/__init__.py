"""The units of systemd, their installation, and keys that systemd holds."""
