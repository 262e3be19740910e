//! Opening a database with its lock, and reading it in one pass.
