//! The last order and the end of the parent arrive together: the role still exits.
//!
//! The test is the parent of each role in turn. Every second time it stops the role while it speaks, so
//! that both are there when the role wakes; otherwise the machine decides. `ENDS` in the environment is how
//! often for each role.

use crate::support::daemon::Place;
use crate::support::patience::stretched;
use crate::support::process::finish;
use command_fds::{CommandFdExt, FdMapping};
use greytrapper::control::socket;
use greytrapper::daemon::messages::{FromParent, Start, ToParent};
use greytrapper::daemon::slot::Slot;
use greytrapper::process::channel::Channel;
use greytrapper::process::image::shared;
use greytrapper::process::spawn::pair;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// Without `ENDS`.
const ENDS: usize = 20;

/// Much longer than an end takes.
const SOON: Duration = Duration::from_secs(5);

/// A role, and how its parent speaks to it.
struct Role {
    child: Child,
    parent: Channel<FromParent, ToParent>,
    /// The ends of the others, who are silent.
    _others: Vec<OwnedFd>,
}

impl Role {
    /// Starts it with all that it is given, and waits until it is ready.
    fn start(place: &Place, name: &str, statements: &str) -> Role {
        let (ours, theirs) = pair().unwrap();
        let (writer, reader) = shared::create().or_else(|_| pair()).unwrap();
        let mut others = Vec::new();
        let mut other = || {
            let (mine, its) = pair().unwrap();
            others.push(mine);
            its
        };
        let mut slots = vec![(Slot::Parent, theirs)];
        match name {
            "engine" => {
                let control = socket::bind(&place.path("control"), "no-such-group").unwrap();
                slots.extend([
                    (Slot::Store, other()),
                    (Slot::Resolver, other()),
                    (Slot::Checker, other()),
                    (Slot::ImageToRead, reader),
                    (Slot::Control, control.into()),
                    (Slot::Memory, other()),
                ]);
            }
            "store" => slots.extend([
                (Slot::Asker, other()),
                (Slot::Sync, other()),
                (Slot::ImageToWrite, writer),
            ]),
            _ => slots.push((Slot::Asker, other())),
        }
        let mapped = |(slot, parent_fd)| FdMapping { parent_fd, child_fd: slot as i32 };
        let mut command = place.greytrapper(["-x", name]);
        command.fd_mappings(slots.into_iter().map(mapped).collect()).unwrap();
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        let mut parent = Channel::<FromParent, ToParent>::new(ours).unwrap();
        let (database, memory) = (place.database(), place.memory());
        let config = format!("database {database:?}\nmemory {memory:?}\n{statements}");
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
        assert!(matches!(ready, ToParent::Ready), "{name}: {ready:?}");
        if name == "memory" {
            // It waits for the engine's end.
            others.clear();
        }
        Role { child, parent, _others: others }
    }

    /// Gives the last orders and goes.
    fn end(self, orders: Vec<FromParent>, in_one_piece: bool) -> bool {
        let Role { mut child, mut parent, _others } = self;
        let pid = Pid::from_raw(child.id().cast_signed());
        // It waits by then, or does not: both must do.
        sleep(Duration::from_millis(1));
        if in_one_piece {
            kill(pid, Signal::SIGSTOP).unwrap();
        }
        for order in orders {
            parent.deliver(&order).unwrap();
        }
        drop(parent);
        if in_one_piece {
            kill(pid, Signal::SIGCONT).unwrap();
        }
        let ended = catch_unwind(AssertUnwindSafe(|| finish(&mut child, stretched(SOON))));
        ended.is_ok_and(|status| status.success())
    }
}

fn ends() -> usize {
    std::env::var("ENDS").ok().map_or(ENDS, |text| text.parse().unwrap())
}

/// All that a parent may say at the end.
fn last_orders(name: &str, number: usize) -> Vec<FromParent> {
    let mut orders = vec![FromParent::Go, FromParent::Verbose(true)];
    if name == "engine" {
        orders.extend([
            FromParent::Scan(Duration::from_secs(1)),
            FromParent::Summary,
            FromParent::Reloaded(Ok(())),
        ]);
    }
    orders.rotate_left(number % 2);
    orders.truncate(1 + number / 2 % orders.len());
    orders
}

#[test]
fn the_last_order_and_the_end_in_one_piece_end_every_role() {
    let place = Place::new();
    place.enter(&[]);
    let key = place.write("key", "shared\n", 0o600);
    let statements = format!(
        "dns {{ nameserver 127.0.0.1 port 1 }}\ncheck rcpt with \"/bin/true\"\n\
         sync to \"127.0.0.1\"\nsync key \"{}\"\n",
        key.display()
    );
    let mut wrong = Vec::new();
    for name in ["store", "engine", "resolver", "checker", "memory", "sync"] {
        let still_there = (0..ends()).filter(|number| {
            let _ = std::fs::remove_file(place.path("control"));
            let role = Role::start(&place, name, &statements);
            !role.end(last_orders(name, *number), number % 2 == 0)
        });
        let count = still_there.count();
        println!("{name}: {count} of {} did not end", ends());
        if count > 0 {
            wrong.push(format!("{name}: {count} of {}", ends()));
        }
    }
    assert!(wrong.is_empty(), "did not end: {}", wrong.join(", "));
}
