//! Readers, checkers and writers of both formats: against files and listings of OpenBSD's own code,
//! against a model, and against being killed between any two writes.

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
