//! Processes: how one comes to be, gives up root, locks itself in and speaks with another. Nothing here knows a
//! role or a message.
//!
//! [`spawn`] executes this program afresh; [`channel`] carries typed messages over a socketpair;
//! [`user`] gives up root; [`sandbox`] locks a process in; [`shared`] is memory that two processes map;
//! with [`wake`] a thread wakes a loop.

pub mod channel;
pub mod sandbox;
#[allow(unsafe_code)]
pub mod shared;
#[allow(unsafe_code)]
pub mod spawn;
pub mod user;
pub mod wake;
