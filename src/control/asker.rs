//! Who asks at the control socket: the name of the user at its other end.
//!
//! The engine cannot read passwd(5) in its sandbox, so [`Users::of_group`] reads before it enters it who may
//! connect: root, the user of this process, and the members of the socket's group. Anybody else is a number.
//! The kernel is trusted to know the user of whoever connected.
#![forbid(unsafe_code)]

use nix::unistd::{Group, Uid, User};
use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::AsFd;

/// The names of those who may connect.
#[derive(Debug, Default)]
pub struct Users(BTreeMap<u32, String>);

impl Users {
    /// Reads the names of root, of this process's user, and of the members of `group`, as far as they are
    /// known.
    pub fn of_group(group: &str) -> Users {
        let usual = [Uid::from_raw(0), Uid::effective()].map(User::from_uid);
        let members = Group::from_name(group).ok().flatten().map(|group| group.mem);
        let members = members.into_iter().flatten().map(|name| User::from_name(&name));
        let users = usual.into_iter().chain(members).filter_map(|user| user.ok().flatten());
        Users(users.map(|user| (user.uid.as_raw(), user.name)).collect())
    }

    /// The user with this ID, as it is shown.
    pub fn name(&self, uid: Option<Uid>) -> Name<'_> {
        Name { name: uid.and_then(|uid| self.0.get(&uid.as_raw()).map(String::as_str)), uid }
    }
}

/// A user's name, or else its number: `root`, `uid 1000`.
#[derive(Clone, Copy, Debug)]
pub struct Name<'a> {
    name: Option<&'a str>,
    uid: Option<Uid>,
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.name, self.uid) {
            (Some(name), _) => f.write_str(name),
            (None, Some(uid)) => write!(f, "uid {uid}"),
            (None, None) => f.write_str("unknown user"),
        }
    }
}

/// The effective user of whoever connected the other end of a socket (getpeereid(3), unix(7) `SO_PEERCRED`).
pub fn user_of(socket: &impl AsFd) -> Option<Uid> {
    #[cfg(target_os = "linux")]
    let uid = nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::PeerCredentials)
        .map(|credentials| Uid::from_raw(credentials.uid()));
    #[cfg(not(target_os = "linux"))]
    let uid = nix::unistd::getpeereid(socket).map(|(uid, _)| uid);
    uid.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    #[test]
    fn the_other_end_is_named() {
        let users = Users::of_group("no such group");
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let name = std::process::Command::new("id").arg("-un").output().unwrap();
        let name = String::from_utf8(name.stdout).unwrap();
        assert_eq!(users.name(user_of(&ours)).to_string(), name.trim());
        assert_eq!(users.name(Some(Uid::from_raw(0))).to_string(), "root");
    }

    #[test]
    fn strangers_have_numbers() {
        let users = Users::of_group("no such group");
        assert_eq!(users.name(Some(Uid::from_raw(54_321))).to_string(), "uid 54321");
        assert_eq!(users.name(None).to_string(), "unknown user");
    }
}
