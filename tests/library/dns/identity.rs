//! Identity over the network.

use super::resolver;
use crate::support::responder::*;
use greytrapper::dns::identity::Confirmation::{self, Confirmed, NotConfirmed, Unknown};
use greytrapper::dns::resolver::{Finding, Found};

const HOST: [u8; 4] = [192, 0, 2, 1];

fn world(query: &Query) -> Vec<Act> {
    if let Some(control) = query.control() {
        return control;
    }
    let (owner, reply) = (query.name.as_str(), query.reply());
    match (owner, query.rtype) {
        ("1.2.0.192.in-addr.arpa", PTR) => {
            reply.answer(owner, PTR, 60, &name("out.sender.example"))
        }
        ("out.sender.example" | "mx.other.example", A) => reply.answer(owner, A, 60, &HOST),
        ("alias.other.example", A) => reply
            .answer(owner, CNAME, 60, &name("mx.other.example"))
            .answer("mx.other.example", A, 60, &HOST),
        ("wrong.other.example", A) => reply.answer(owner, A, 60, &[192, 0, 2, 9]),
        ("broken.other.example", _) => reply.rcode(SERVFAIL),
        _ => reply.rcode(NXDOMAIN).soa(60),
    }
    .send()
}

fn identity(helo: &[&str]) -> Vec<Confirmation> {
    let server = Responder::start(world);
    let mut resolver = resolver(&[server.address]);
    resolver.identify(7, HOST.into(), helo.iter().map(|h| h.as_bytes()));
    loop {
        if let Some(Finding { ticket, found, .. }) = resolver.next_finding() {
            let Found::Identity(identity) = found else { panic!("{found:?}") };
            assert_eq!((ticket, resolver.next_finding()), (7, None));
            return identity.names;
        }
        resolver.turn(None, |token| panic!("{token:?}")).unwrap();
    }
}

#[test]
fn names_are_confirmed_over_the_network() {
    for (helo, expected) in [
        (&["mx.other.example"][..], &[Confirmed][..]),
        (&["alias.other.example"], &[Confirmed]),
        (&["anything.sender.example"], &[Confirmed]),
        (&["out.sender.example", "MX.other.example."], &[Confirmed, Confirmed]),
        (&["wrong.other.example"], &[NotConfirmed]),
        (&["mx.other.example", "wrong.other.example"], &[Confirmed, NotConfirmed]),
        (&["[192.0.2.1]"], &[NotConfirmed]),
        (&["broken.other.example"], &[Unknown]),
        (&["mx.other.example", "broken.other.example"], &[Confirmed, Unknown]),
    ] {
        assert_eq!(identity(helo), expected, "{helo:?}");
    }
}

/// The process's own descriptors are seen in the same loop.
#[test]
fn the_poller_is_shared() {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut resolver = resolver(&[]);
    let far = far.as_raw_fd();
    let mut source = mio::unix::SourceFd(&far);
    resolver.registry().register(&mut source, mio::Token(3), mio::Interest::READABLE).unwrap();
    near.write_all(b"x").unwrap();
    let mut seen = None;
    resolver.turn(None, |token| seen = Some(token)).unwrap();
    assert_eq!(seen, Some(mio::Token(3)));
}
