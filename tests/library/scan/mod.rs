//! Judging, tested from outside: databases that OpenBSD's own code wrote compared with a second, slow
//! judge, the bugs of the original script, and what strangers may send.

mod faults;
mod golden;
mod hostile;
mod model;
mod records;
