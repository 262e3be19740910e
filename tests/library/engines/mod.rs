//! Both engines under the same tests, and in turns on one file.
//!
//! What an engine is told to do is done to a map as well; after every close our reader lists what is in
//! the file, which must be what is in the map, and the checker must have nothing to say. The libc engine
//! is there on the BSDs, and elsewhere if the build was told of a dbopen(3) (`DB185_DIR`, see build.rs);
//! without it the native engine is tested alone, and the tests' names say so.
//!
//! `ENGINE_OPERATIONS` says how many random operations each test of that kind makes (default 3,000),
//! `ENGINE_SEED` which (default 1).

mod contract;
mod mutated;
mod operations;
#[cfg(libc_db)]
mod order;
mod random;
mod subject;
#[cfg(libc_db)]
mod walks;
