//! The control socket between the two programs: greytrapctl(8) asks, the daemon answers.
//!
//! [`protocol`] has the messages, [`status`] the state of the daemon; [`client`] is greytrapctl's end,
//! [`server`] the daemon's; [`socket`] creates the listening socket.
#![forbid(unsafe_code)]

pub mod asker;
pub mod client;
pub mod protocol;
pub mod server;
pub mod socket;
pub mod status;
