"""A service's home for the members of a group: they ask at shared.sock, and conductord does it in their place.

No member gets at a file. The home is 0710: members pass through it to the socket and can list and read nothing.
"""
