"""How the database's tables came to be, one file a revision in `versions`. alembic runs them; nobody needs alembic.ini.

A new revision is a new file: `revision` the next number of four digits, `down_revision` the one before, `upgrade` with
`op`. `conductor.store.schema.HEAD` and `conductor.store.tables` go with it, and a golden database of the format before
stays in `tests/golden`. Revisions that were released are never changed. There is no way down: an older conductor
refuses a newer database.
"""
