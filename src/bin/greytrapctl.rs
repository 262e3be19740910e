//! greytrapctl(8).
fn main() {}
