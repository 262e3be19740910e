//! Both engines with the same tests, and alternately on one file.
//!
//! Every operation on an engine is also done on a map; after every close our reader must list the contents
//! of the map, and the checker must find no fault. The libc engine exists on the BSDs, and elsewhere if the
//! build was given a dbopen(3) (`DB185_DIR`, see build.rs); without it only the native engine is tested,
//! and the names of the tests say so.
//!
//! `ENGINE_OPERATIONS` is the number of random operations in each test of that kind (default 3,000),
//! `ENGINE_SEED` their seed (default 1).

mod contract;
#[cfg(all(libc_db, target_os = "linux"))]
mod full;
mod mutated;
mod operations;
#[cfg(libc_db)]
mod order;
mod random;
mod subject;
#[cfg(libc_db)]
mod walks;
