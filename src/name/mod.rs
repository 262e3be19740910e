//! Domain names as text: whether they are valid, how two of them are compared, and who registered them.
//! Used by [`scan`](crate::scan) and [`dns`](crate::dns).
//!
//! * `text` takes the domain of a sender or a HELO name, and returns its fault or the host name in it.
//! * `registrable` finds the registered part of a name with the public suffix list (crate `psl`).
//! * `special` knows names that nobody can register.
//! * `made` knows names that are made of the host's own address.
//! * `reversed` makes the name under which DNS knows an address.
//!
//! All input was chosen by strangers.
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation))]

mod made;
mod registrable;
mod reversed;
mod special;
mod text;

pub use made::{Held, has_mail_word, holds_address, is_of_line, may_be_of_line};
pub use registrable::{canonical, is_registered, is_within_registrable, registrable};
pub use reversed::reversed;
pub use special::{is_local, is_nobodys, lacks_tld, may_exist};
pub use text::{NameFault, check, host_name, is_plain, lower};
