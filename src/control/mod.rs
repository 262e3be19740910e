//! The control socket between the two programs: greytrapctl(8) asks, the daemon answers.
//!
//! [`protocol`] is what they say, [`status`] how the daemon is; [`client`] is greytrapctl's end, [`server`] the
//! daemon's; [`socket`] makes the listening socket.
#![forbid(unsafe_code)]

pub mod client;
pub mod protocol;
pub mod server;
pub mod socket;
pub mod status;
