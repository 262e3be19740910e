//! The directory of the memory, made where it is missing.
#![forbid(unsafe_code)]

use crate::errno::reason;
use crate::escape::escaped_path;
use crate::process::user::User;
use nix::unistd::Uid;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::Path;

/// Group and others may not write.
const OTHERS_WRITE: u32 = 0o022;

/// Makes the directory for nobody but its owner: `user` if this process is root, else whoever it is.
///
/// # Errors
/// It cannot be made, it is something else, or others may write to it.
pub fn make(path: &Path, user: &str) -> Result<(), String> {
    let said = |error: io::Error| format!("{}: {}", escaped_path(path), reason(&error));
    let owner = owner(user)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) if Uid::effective().is_root() => {
            return chown(path, Some(owner.as_raw()), None).map_err(said);
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(said(error)),
        _ => {}
    }
    check(path, user)
}

/// Whether the directory can be used.
///
/// # Errors
/// It is missing, is something else, or others may write to it.
pub fn check(path: &Path, user: &str) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{}: {what}", escaped_path(path)));
    let owner = owner(user)?;
    let found = fs::symlink_metadata(path)
        .map_err(|error| format!("{}: {}", escaped_path(path), reason(&error)))?;
    if !found.is_dir() {
        return wrong("not a directory");
    }
    if found.uid() != owner.as_raw() {
        return wrong("owned by another user");
    }
    if found.mode() & OTHERS_WRITE != 0 {
        return wrong("writable by others");
    }
    Ok(())
}

/// `user` if this process is root, else whoever it is.
fn owner(user: &str) -> Result<Uid, String> {
    match Uid::effective() {
        me if me.is_root() => Ok(User::named(user).map_err(|error| error.to_string())?.uid),
        me => Ok(me),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_may_write_to_is_not_used() {
        // Of root's process another user is the owner.
        let me = nix::unistd::User::from_uid(Uid::effective()).unwrap().unwrap();
        if me.uid.is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("memory");
        make(&path, &me.name).unwrap();
        make(&path, &me.name).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o720)).unwrap();
        let text = |text: &str| format!("{}: {text}", path.display());
        assert_eq!(make(&path, &me.name), Err(text("writable by others")));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert_eq!(make(&path, &me.name), Err(text("not a directory")));
    }
}
