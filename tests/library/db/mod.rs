//! Readers, checkers and writers of both formats: compared with files and listings of OpenBSD's own code
//! and with a model, and killed between any two writes.

mod btree_check;
mod btree_images;
mod btree_kill;
mod btree_read;
mod btree_write;
mod faults;
mod hash_check;
mod hash_read;
mod hash_write;
mod leftover;
mod repair;
