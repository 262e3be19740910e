//! Where deeds are tried: a directory with a database and other files, listeners, name servers.
//!
//! The test makes a [`Scene`]; the processes that try see it through their [`Env`].

use super::process::{self, Outcome};
use crate::support::responder::{Act, MX, Query, Responder, mx};
use nix::unistd::{Uid, User as Passwd, chown};
use std::fmt;
use std::fs::{self, Permissions};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use tempfile::TempDir;

/// A hash file of OpenBSD's own making with some hundred records.
pub const DATABASE: &[u8] = include_bytes!("../../data/hash/openbsd16k.db");

/// Where name servers are asked.
const DOMAIN: &str = "127.0.0.1:53";

/// As whom deeds are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Whoever runs the test.
    Same,
    /// nobody, where root runs the test.
    Nobody,
}

impl User {
    /// All that can be tried.
    pub fn all() -> Vec<User> {
        if Uid::effective().is_root() { vec![User::Same, User::Nobody] } else { vec![User::Same] }
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            User::Same => write!(f, "uid {}", Uid::effective()),
            User::Nobody => f.write_str("nobody"),
        }
    }
}

/// Everything a deed may need, as long as it lives.
pub struct Scene {
    /// As whom.
    pub user: User,
    directory: TempDir,
    tcp: TcpListener,
    udp: UdpSocket,
    servers: Option<Servers>,
    _unix: (UnixListener, UnixDatagram),
}

struct Servers {
    any: Responder,
    domain: Result<Responder, String>,
}

impl Scene {
    /// Sets it up for one user.
    pub fn new(user: User) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("spamd"), DATABASE).unwrap();
        fs::write(path("other"), "other\n").unwrap();
        // 3 is a checker's `bad`; `wait` waits for the end of standard input.
        script(&path("program"), "case $1 in wait) cat;; fine) exit 0;; esac; exit 3");
        script(&path("another"), "exit 0");
        fs::create_dir(path("memory")).unwrap();
        let unix = (
            UnixListener::bind(path("listener")).unwrap(),
            UnixDatagram::bind(path("datagrams")).unwrap(),
        );
        hand_over(directory.path(), user);
        Scene {
            user,
            tcp: TcpListener::bind("127.0.0.1:0").unwrap(),
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            servers: None,
            _unix: unix,
            directory,
        }
    }

    /// The same with name servers, of which there can be one at a time.
    pub fn with_name_servers(user: User) -> Scene {
        Scene { servers: Some(Servers::start()), ..Scene::new(user) }
    }

    /// Has a process try a deed behind a role's lock, or without any.
    pub fn attempt(&self, role: Option<&str>, deed: &str) -> Outcome {
        let any = self.servers.as_ref().map(|servers| servers.any.address);
        let domain = self.servers.as_ref().and_then(|servers| servers.domain.as_ref().ok());
        let text = |address: Option<SocketAddr>| address.map_or(String::new(), |a| a.to_string());
        process::attempt(&[
            (process::DEED, deed.to_owned()),
            (process::ROLE, role.unwrap_or_default().to_owned()),
            (process::USER, if self.user == User::Nobody { "nobody" } else { "" }.to_owned()),
            ("SCENE", self.directory.path().to_str().unwrap().to_owned()),
            ("SCENE_TCP", self.tcp.local_addr().unwrap().to_string()),
            ("SCENE_UDP", self.udp.local_addr().unwrap().to_string()),
            ("SCENE_DNS", text(any)),
            ("SCENE_DNS_53", text(domain.map(|server| server.address))),
        ])
    }

    /// Why some work cannot be tried here.
    pub fn lacks(&self, work: &str) -> Option<&str> {
        let domain = self.servers.as_ref().map(|servers| servers.domain.as_ref());
        let wanted = work == "ask a name server on port 53";
        domain.and_then(Result::err).filter(|_| wanted).map(String::as_str)
    }
}

impl Servers {
    fn start() -> Servers {
        let domain: SocketAddr = DOMAIN.parse().unwrap();
        let domain = match free(domain) {
            Ok(()) => Ok(Responder::start_at(domain, answer)),
            Err(error) => Err(format!("no name server on port 53: {error}")),
        };
        Servers { any: Responder::start(answer), domain }
    }
}

/// Whether a server can be there. The one before it may live on for a moment, in processes that other
/// tests are about to start.
fn free(address: SocketAddr) -> std::io::Result<()> {
    let attempt = || {
        let tcp = TcpListener::bind(address)?;
        UdpSocket::bind(address).map(|udp| drop((tcp, udp)))
    };
    for _ in 0..50 {
        match attempt() {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
            outcome => return outcome,
        }
    }
    attempt()
}

/// A fit server that gives every domain an MX, by TCP only.
fn answer(query: &Query) -> Vec<Act> {
    query.control().unwrap_or_else(|| match (query.rtype, query.tcp) {
        (MX, true) => query.reply().answer(&query.name, MX, 60, &mx(10, "mail.example")).send(),
        _ => query.reply().truncated().send(),
    })
}

fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Gives the directory and what is in it to the user who is to try: what fails then fails because of the
/// lock and not for want of permissions.
fn hand_over(directory: &Path, user: User) {
    if user == User::Same {
        return;
    }
    let nobody = Passwd::from_name("nobody").unwrap().unwrap();
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.chain([directory.to_path_buf()]) {
        chown(&path, Some(nobody.uid), Some(nobody.gid)).unwrap();
    }
}
