//! Processes: starting them, giving up root, entering a sandbox, and communication. Nothing here knows a
//! role or a message.
//!
//! [`spawn`] executes this program again; [`channel`] carries typed messages over a socketpair; [`user`]
//! gives up root; [`sandbox`] confines a process; [`image`] is how a file's bytes get from one process to
//! another; with [`wake`] a thread wakes a loop.

pub mod channel;
pub mod image;
pub mod sandbox;
#[allow(unsafe_code)]
pub mod spawn;
pub mod user;
pub mod wake;
