//! Domain names as text: whether they can be names at all, the form in which two of them compare, and whose
//! they are. Below [`scan`](crate::scan) and [`dns`](crate::dns), which both live by it.
//!
//! * `text`: the domain of a sender or a HELO name in, its fault or the host name it is out.
//! * `registrable`: what somebody registered to have a name, by the public suffix list (crate `psl`).
//! * `special`: names that belong to nobody.
//!
//! All of it was chosen by strangers.
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

mod registrable;
mod special;
mod text;

pub use registrable::{canonical, is_registered, registrable};
pub use special::{is_local, is_nobodys, may_exist};
pub use text::{NameFault, check, host_name, is_plain, lower};
