//! Lists of addresses: an address on each line.
//!
//! pfctl(8) and spamd-setup(8) take the same lines, and comments that begin with `#`; spamd-setup(8) knows
//! only IPv4 (parse_netblock() in libexec/spamd-setup/spamd-setup.c).

use super::hearsay::mark;
use super::{Form, Listed};
use std::io::Write;

/// The text for these hosts.
pub fn text(hosts: &[Listed], form: Form, site: &str) -> Vec<u8> {
    let mut text = format!("# {}\n", mark(site)).into_bytes();
    for host in hosts.iter().filter(|host| form.has_room(host.address)) {
        // Writing to memory does not fail.
        let _ = writeln!(text, "{}", host.address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::testing::{listed, text};
    use super::super::{Cause, Settings};
    use super::*;

    #[test]
    fn an_address_on_each_line() {
        let hosts = [listed("192.0.2.1", Cause::Hand), listed("2001:db8::1", Cause::Unknown)];
        let written = |form| text(form, &hosts, &Settings::default());
        let plain = "# written by greytrapctl export\n192.0.2.1\n2001:db8::1\n";
        assert_eq!(written(Form::Plain), plain);
        assert_eq!(written(Form::Pf), plain);
        let settings = Settings { site: "mx1.example.org", ..Settings::default() };
        let named = text(Form::Plain, &hosts[..1], &settings);
        assert_eq!(named, "# written by greytrapctl export at mx1.example.org\n192.0.2.1\n");
        assert_eq!(written(Form::Spamd), "# written by greytrapctl export\n192.0.2.1\n");
    }
}
