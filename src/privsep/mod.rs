//! What the daemon's processes have in common: how they speak with each other.
#![forbid(unsafe_code)]

pub mod frame;
