"""Alembic's entry: always on the connection that ``database.Database.migrate`` holds open."""

from __future__ import annotations

from alembic import context

from models import Base

connection = context.config.attributes["connection"]
on_sqlite = connection.dialect.name == "sqlite"
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=on_sqlite)
with context.begin_transaction():
    context.run_migrations()
