//! The store alone, with a liar in place of the engine: nothing wrong is written.
//!
//! The test is the store's parent and its engine at once, on the descriptors that these have.

use crate::support::daemon::Place;
use crate::support::patience::patience;
use crate::support::process::{self, finish, is_alive, until};
use crate::support::records::{self, grey, now, spamtrap, trapped, white};
use command_fds::{CommandFdExt, FdMapping};
use greytrapper::daemon::messages::{By, Change, FromParent, FromStore, Start, ToParent, ToStore};
use greytrapper::daemon::slot::Slot;
use greytrapper::process::channel::Channel;
use greytrapper::process::image::{Reader, View};
use greytrapper::process::spawn::pair;
use greytrapper::spamd::trap::{Outcome, Refusal};
use mio::{Events, Poll, Token};
use nix::unistd::Pid;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::time::Duration;

/// A store and the ways to it.
struct Store {
    child: Child,
    parent: Channel<FromParent, ToParent>,
    engine: Channel<ToStore, FromStore>,
    /// The same way, for what is no message.
    raw: OwnedFd,
    poll: Poll,
    /// As on OpenBSD, the image comes through a socket.
    image: Reader,
    tickets: u64,
}

impl Store {
    fn of(place: &Place, statements: &str) -> Store {
        let ((ours, theirs), (asks, answers)) = (pair().unwrap(), pair().unwrap());
        let (writer, reader) = pair().unwrap();
        let slots = [(Slot::Parent, theirs), (Slot::Asker, answers), (Slot::ImageToWrite, writer)];
        let mapped = |(slot, parent_fd)| FdMapping { parent_fd, child_fd: slot as i32 };
        let mut command = place.greytrapper(["-x", "store"]);
        command.fd_mappings(slots.into_iter().map(mapped).collect()).unwrap();
        let child = command.stderr(Stdio::inherit()).spawn().unwrap();
        drop(command);
        let mut parent = Channel::<FromParent, ToParent>::new(ours).unwrap();
        let config = format!("database \"{}\"\n{statements}", place.database().display());
        let origins = Default::default();
        let start = Start {
            config,
            origins,
            verbose: false,
            foreground: true,
            since: 0,
            up: Duration::ZERO,
            renewal: None,
        };
        parent.deliver(&FromParent::Start(Box::new(start))).unwrap();
        let ready = parent.wait_for_message().unwrap();
        assert!(matches!(ready, ToParent::Ready), "{ready:?}");
        parent.deliver(&FromParent::Go).unwrap();
        let raw = asks.try_clone().unwrap();
        let (engine, poll) = (Channel::new(asks).unwrap(), Poll::new().unwrap());
        let image = Reader::new(reader, poll.registry(), Token(0)).unwrap();
        Store { child, parent, engine, raw, poll, image, tickets: 0 }
    }

    /// The image that was announced.
    fn image(&mut self) -> View {
        let mut events = Events::with_capacity(1);
        loop {
            if let Some(view) = self.image.take().unwrap() {
                return view;
            }
            process::poll(&mut self.poll, &mut events, Some(patience()));
            assert!(!events.is_empty());
        }
    }

    fn ask(
        &mut self,
        message: fn(Change) -> ToStore,
        by: By,
        addresses: &[&str],
    ) -> Vec<Option<Outcome>> {
        self.tickets += 1;
        let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
        let change = Change { ticket: self.tickets, addresses, by };
        self.engine.deliver(&message(change)).unwrap();
        loop {
            match self.engine.wait_for_message().unwrap() {
                // What became of WHITE records in the change before.
                FromStore::Whites(_) => {}
                FromStore::Changed { ticket, outcomes, failure, .. } => {
                    assert_eq!((ticket, failure), (self.tickets, None));
                    return outcomes;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// The liar did not bring it down.
    fn end(mut self) {
        assert!(self.child.try_wait().unwrap().is_none());
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OPERATOR: By = By::Operator { over_white: false, time: None };
const FORCE: By = By::Operator { over_white: true, time: None };

fn refused(refusal: Refusal) -> Option<Outcome> {
    Some(Outcome::Refused(refusal))
}

/// A place with a record of each kind under an address.
fn place() -> Place {
    let place = Place::new();
    place.enter(&[
        grey("192.0.2.1", "h.example", "a@d.example", "user@example.org"),
        white("192.0.2.202"),
        trapped("192.0.2.3"),
        spamtrap("192.0.2.4"),
        spamtrap("trap@example.org"),
    ]);
    place
}

#[test]
fn what_is_no_address_is_no_key() {
    let place = place();
    let before = place.listing();
    let mut store = Store::of(&place, "");
    let long = "1".repeat(1 << 20);
    let nonsense = [
        "",
        " ",
        "trap@example.org",
        "192.0.2.1\nh.example\n<a@d.example>\n<user@example.org>",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1/24",
        "0.0.0.0.0",
        "010.0.2.1",
        "192.0.2.1 ",
        "fe80::1%lo",
        "2001:db8::1\0",
        "\u{661}.2.3.4",
        "/etc/passwd",
        "-1",
        long.as_str(),
    ];
    for by in [By::Scan { before: 0 }, OPERATOR, FORCE] {
        for message in [ToStore::Trap, ToStore::EndTraps] {
            let outcomes = store.ask(message, by, &nonsense);
            assert!(outcomes.iter().all(|outcome| *outcome == refused(Refusal::NotAnAddress)));
            assert_eq!(outcomes.len(), nonsense.len());
        }
    }
    assert_eq!(place.listing(), before);
    store.end();
}

/// However often a host is said to have been trapped before, its trap does not last longer than it may.
#[test]
fn no_trap_is_longer_than_the_configuration_says() {
    for (statements, hours) in [("", 24), ("trap for 1h, again 2h, most 36h\n", 36)] {
        let place = Place::new();
        place.enter(&[grey("192.0.2.1", "h.example", "a@d.example", "user@example.org")]);
        let mut store = Store::of(&place, statements);
        let trapped = [Some(Outcome::Trapped)];
        let by = By::Scan { before: u32::MAX };
        assert_eq!(store.ask(ToStore::Trap, by, &["192.0.2.1"]), trapped);
        let listing = place.listing();
        let line = listing.iter().find(|line| line.starts_with("TRAPPED|192.0.2.1|")).unwrap();
        let end: i64 = line.rsplit('|').next().unwrap().parse().unwrap();
        assert!((end - now() - hours * 3600).abs() < 60, "{line}");
        store.end();
    }
}

/// A key is an address of a recipient in lower case, whoever asks, and not one that must take mail.
#[test]
fn what_is_no_recipient_is_no_spamtrap() {
    let place = place();
    let before = place.listing();
    let mut store = Store::of(&place, "pass rcpt \"^wanted@\"\n");
    let long = format!("{}@example.org", "a".repeat(1 << 20));
    let nonsense = [
        "",
        "@",
        "192.0.2.1",
        "192.0.2.202",
        "192.0.2.1\nh.example\n<a@d.example>\n<user@example.org>",
        "a@example.org\0",
        "a b@example.org",
        long.as_str(),
    ];
    for by in [By::Scan { before: 0 }, OPERATOR, FORCE] {
        let outcomes = store.ask(ToStore::Adopt, by, &nonsense);
        assert!(outcomes.iter().all(|outcome| *outcome == refused(Refusal::NotARecipient)));
        let reserved = ["postmaster@example.org", "<ABUSE@example.org>"];
        let outcomes = store.ask(ToStore::Adopt, by, &reserved);
        assert_eq!(outcomes, [refused(Refusal::Reserved); 2]);
    }
    let wanted = ["wanted@example.org", "Trap@example.org"];
    let outcomes = store.ask(ToStore::Adopt, OPERATOR, &wanted);
    assert_eq!(outcomes, [refused(Refusal::PassRcpt), Some(Outcome::IsSpamtrap)]);
    assert_eq!(place.listing(), before);
    let outcomes = store.ask(ToStore::Adopt, FORCE, &wanted);
    assert_eq!(outcomes, [Some(Outcome::Adopted), Some(Outcome::IsSpamtrap)]);
    assert_eq!(place.listing().len(), before.len() + 1);
    place.assert_sound();
    store.end();
}

#[test]
fn what_lies_there_is_looked_at() {
    let place = place();
    let before = place.listing();
    let mut store = Store::of(&place, "");
    let all = ["192.0.2.202", "192.0.2.3", "192.0.2.4"];
    let [white, trap, name] = [Refusal::White, Refusal::Trapped, Refusal::Spamtrap].map(refused);
    assert_eq!(store.ask(ToStore::Trap, By::Scan { before: 0 }, &all), [white, trap, name]);
    assert_eq!(
        store.ask(ToStore::EndTraps, By::Scan { before: 0 }, &["192.0.2.202", "192.0.2.4"]),
        [white, name]
    );
    assert_eq!(place.listing(), before);
    // An operator renews a trap, and is asked twice about a whitelisted host.
    let renewed = Some(Outcome::Renewed);
    assert_eq!(store.ask(ToStore::Trap, OPERATOR, &all), [white, renewed, name]);
    let was_white = Some(Outcome::WasWhite);
    assert_eq!(store.ask(ToStore::Trap, FORCE, &all), [was_white, renewed, name]);
    let spamtraps = |listing: Vec<String>| {
        listing.into_iter().filter(|line| line.starts_with("SPAMTRAP|")).collect::<Vec<_>>()
    };
    assert_eq!(spamtraps(place.listing()), spamtraps(before));
    store.end();
}

#[test]
fn allowed_hosts_stay_so_whoever_asks() {
    let place = place();
    let before = place.listing();
    let mut store = Store::of(&place, "allow { 192.0.2.0/24, 2001:db8::/32 }\n");
    let hosts = ["192.0.2.1", "192.0.2.202", "2001:db8::1", "2001:0DB8:0:0::1"];
    for by in [By::Scan { before: 0 }, OPERATOR, FORCE] {
        let outcomes = store.ask(ToStore::Trap, by, &hosts);
        assert!(outcomes.iter().all(|outcome| *outcome == refused(Refusal::Allowed)), "{by:?}");
    }
    assert_eq!(place.listing(), before);
    store.end();
}

#[test]
fn a_trap_ends_when_the_configuration_says() {
    let place = place();
    let mut store = Store::of(&place, "trap for 2h\n");
    let outcomes = store.ask(ToStore::Trap, By::Scan { before: 0 }, &["192.0.2.1"]);
    assert_eq!(outcomes, [Some(Outcome::Trapped)]);
    let line = place.listing().into_iter().find(|line| line.starts_with("TRAPPED|192.0.2.1|"));
    let expire: i64 = line.unwrap().split('|').next_back().unwrap().parse().unwrap();
    assert!((expire - now() - 2 * 3600).abs() < 60, "{expire}");
    store.end();
}

/// No more than that, in one request or in many, by whoever; what was refused for what lies there does not
/// count.
#[test]
fn the_limit_is_the_stores() {
    let place = place();
    let mut store = Store::of(&place, "trap limit 5 per 1h\n");
    for _ in 0..10 {
        assert_eq!(
            store.ask(ToStore::Trap, By::Scan { before: 0 }, &["192.0.2.202"]),
            [refused(Refusal::White)]
        );
    }
    let hosts: Vec<_> = (1..=20).map(records::host).collect();
    let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
    let count = |outcomes: &[Option<Outcome>]| {
        outcomes.iter().filter(|outcome| **outcome == Some(Outcome::Trapped)).count()
    };
    assert_eq!(count(&store.ask(ToStore::Trap, By::Scan { before: 0 }, &hosts[..3])), 3);
    let outcomes = store.ask(ToStore::Trap, FORCE, &hosts[3..]);
    assert_eq!(count(&outcomes), 2);
    assert!(outcomes[2..].iter().all(|outcome| *outcome == refused(Refusal::Limit)));
    assert_eq!(store.ask(ToStore::Trap, FORCE, &["192.0.2.202"]), [refused(Refusal::Limit)]);
    assert_eq!(place.trapped().len(), 6);
    place.assert_sound();
    store.end();
}

/// Turns out of order: the image is what the last answer said it is, or there is none.
#[test]
fn the_image_in_any_order() {
    let place = place();
    let before = place.listing();
    let mut store = Store::of(&place, "");
    let length = std::fs::metadata(place.database()).unwrap().len();
    for round in 0..50 {
        for _ in 0..round % 3 {
            store.engine.deliver(&ToStore::FreeImage).unwrap();
        }
        store.engine.deliver(&ToStore::Read).unwrap();
        let FromStore::Read(Ok(image)) = store.engine.wait_for_message().unwrap() else { panic!() };
        assert_eq!(image.length, length);
        store.image.expect(length).unwrap();
        let view = store.image();
        assert_eq!(*view, std::fs::read(place.database()).unwrap());
    }
    assert_eq!(place.listing(), before);
    store.end();
}

/// Bytes that are no message end the store, which says so; nothing is written.
#[test]
fn what_is_no_message_ends_it() {
    let one_gigabyte = [&(1u32 << 30).to_le_bytes()[..], b"x"].concat();
    let garbage: [(&[u8], &str); 4] = [
        (&one_gigabyte, "message of 1073741824 bytes (at most 67108864)"),
        (&[1, 0, 0, 0, 9], "malformed message"),
        (&[6, 0, 0, 0, 2, 0, 0xff, 0xff, 0xff, 0x7f], "malformed message"),
        (&[2, 0, 0, 0, 0, 0], "1 byte after the end of a message"),
    ];
    for (bytes, why) in garbage {
        let place = place();
        let before = place.listing();
        let mut store = Store::of(&place, "");
        UnixStream::from(store.raw.try_clone().unwrap()).write_all(bytes).unwrap();
        let told = store.parent.wait_for_message().unwrap();
        let ToParent::Failed(failure) = &told else { panic!("{told:?}") };
        assert_eq!(*failure, format!("engine: {why}"));
        assert_eq!(finish(&mut store.child, patience()).code(), Some(1));
        assert_eq!(place.listing(), before);
    }
}

/// Nobody reads its answers: it waits, but only as long as its parent lives.
#[test]
fn whoever_takes_no_answers_does_not_hold_it() {
    let place = place();
    let mut store = Store::of(&place, "");
    let addresses = vec!["x".to_owned(); 100_000];
    for ticket in 0..20 {
        let (addresses, by) = (addresses.clone(), By::Scan { before: 0 });
        let sent = store.engine.send(&ToStore::Trap(Change { ticket, addresses, by }));
        sent.unwrap();
    }
    let pid = Pid::from_raw(store.child.id().cast_signed());
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(is_alive(pid));
    let (ours, _) = pair().unwrap();
    store.parent = Channel::new(ours).unwrap();
    until("the end", || store.child.try_wait().unwrap().is_some());
}
