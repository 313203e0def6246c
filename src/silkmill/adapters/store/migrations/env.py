"""What Alembic runs to get at the database: the connection it was handed."""

from alembic import context

from silkmill.adapters.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
