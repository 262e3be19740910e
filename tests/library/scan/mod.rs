//! Judging, seen from outside: databases that OpenBSD's own code wrote against a second, slow judge,
//! the faults of the original script, and what strangers may send.

mod faults;
mod golden;
mod hostile;
mod model;
mod records;
