"""What alembic runs to run the revisions: on the connection, and in the transaction, of whoever called it."""

from __future__ import annotations

from alembic import context

from conductor.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
