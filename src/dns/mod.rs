//! DNS asked by ourselves.
pub mod answer;
pub mod failure;
pub mod lookup;
pub mod message;
pub mod name;
pub mod random;
pub mod socket;
pub mod table;
pub mod verdict;
