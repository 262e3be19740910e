//! Looks up sender domains as greytrapctl(8)'s `lookup` does, with no more outstanding than there is room
//! for.
#![allow(dead_code, clippy::expect_used)]

use greytrapper::dns::failure::Failure;
use greytrapper::dns::resolver::{Finding, Found, Resolver};
use greytrapper::dns::verdict::DomainVerdict;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Much longer than any resolver here waits for an answer, even on a machine that hardly runs: one that sleeps
/// for so long has lost a question.
pub const FOR_EVER: Duration = Duration::from_secs(1200);

/// Asks for all names, and tells each verdict as it comes. A denial that is not to be believed as yet is
/// unknown.
pub fn each<N: AsRef<[u8]>>(
    resolver: &mut Resolver,
    names: impl IntoIterator<Item = N>,
    mut told: impl FnMut(N, DomainVerdict),
) {
    let (mut names, mut asked, mut is_over) = (names.into_iter(), HashMap::new(), false);
    let mut tickets = 0..;
    loop {
        while resolver.room() > 0 && !is_over {
            let Some(name) = names.next() else {
                is_over = true;
                break;
            };
            let ticket = tickets.next().expect("ticket");
            resolver.lookup(ticket, name.as_ref());
            asked.insert(ticket, name);
        }
        let mut any = false;
        while let Some(Finding { ticket, found, denial }) = resolver.next_finding() {
            let Found::Domain(verdict) = found else { continue };
            any = true;
            let is_denied = matches!(verdict, DomainVerdict::Bad(_));
            let verdict = match is_denied && !resolver.proof().believes(denial) {
                true => DomainVerdict::Unknown(Failure::Unproven),
                false => verdict,
            };
            told(asked.remove(&ticket).expect("one verdict"), verdict);
        }
        if asked.is_empty() && is_over {
            return;
        }
        if !any {
            let since = Instant::now();
            resolver.turn(Some(FOR_EVER), |_| {}).expect("turn");
            assert!(since.elapsed() < FOR_EVER, "{} of its domains have no verdict", asked.len());
        }
    }
}
