//! DNS asked by ourselves.
pub mod answer;
pub mod cache;
pub mod failure;
pub mod identity;
pub mod lookup;
pub mod message;
pub mod mux;
pub mod name;
pub mod random;
pub mod resolv_conf;
pub mod resolver;
pub mod socket;
pub mod table;
pub mod verdict;
