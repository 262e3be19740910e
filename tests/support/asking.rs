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
const FOR_EVER: Duration = Duration::from_secs(1200);

/// The resolver's next turn, of at most `longest`. It fails if the resolver would sleep for ever.
pub fn turn(resolver: &mut Resolver, longest: Option<Duration>) {
    let since = Instant::now();
    resolver.turn(longest.or(Some(FOR_EVER)), |_| {}).expect("turn");
    assert!(longest.is_some() || since.elapsed() < FOR_EVER, "a question without a deadline");
}

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
            turn(resolver, None);
        }
    }
}
