//! Readers, checkers and writers of both formats: against files and listings of OpenBSD's own code,
//! against a model, and against being killed between any two writes.

#![cfg(test)]

mod btree_check;
mod btree_kill;
mod btree_read;
mod btree_support;
mod btree_write;
#[path = "../support/dice.rs"]
mod dice;
#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/golden.rs"]
mod golden;
mod hash_check;
mod hash_read;
mod hash_write;
