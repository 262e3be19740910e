//! `spf`: the result for a host and a sender.

use crate::dns::conf;
use crate::support::cmd::{Dir, Ran, ctl};
use crate::support::responder::*;
use crate::support::zone::Zone;
use serde_json::{Value, json};

const WORLD: &[&str] = &[
    "mail.example TXT v=spf1 mx include:_spf.mail.example -all exp=why.mail.example",
    "mail.example MX 10 mx.mail.example",
    "mx.mail.example A 192.0.2.9",
    "_spf.mail.example TXT v=spf1 ip4:198.51.100.0/24 a:gone.mail.example ?all",
    "why.mail.example TXT %{i} is no host of %{d}\u{7f}",
    "fine.example TXT v=spf1 -all exp=fine.fine.example",
    "fine.fine.example TXT %{c} is none of %{d}",
    "wide.example TXT v=spf1 +all",
    "wrong.example TXT v=spf1 foo",
    "alone.example TXT v=spf1 mx -all",
    "mute.example MUTE",
];

fn spf(before: &[&str], server: &Responder, arguments: &[&str]) -> Ran {
    let dir = Dir::new();
    let conf = conf(&dir, server.address, "");
    let mut command = ctl(before);
    command.0.args(["spf", "-f"]).arg(conf).args(arguments);
    command.run()
}

fn text(server: &Responder, arguments: &[&str]) -> String {
    let ran = spf(&[], server, arguments);
    assert_eq!((ran.status, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    String::from_utf8(ran.out).unwrap()
}

#[test]
fn the_result_and_how_it_came_about() {
    let server = Zone::new(WORLD).serve();
    for (address, sender, wanted) in [
        (
            "198.51.100.7",
            "<u@Mail.Example>",
            "result\tpass\nexempts\tyes\nmechanism\tip4:198.51.100.0/24\ndomain\t_spf.mail.example\n\
             lookups\t4\nterms\t2\nvoid terms\t0\n",
        ),
        (
            "192.0.2.1",
            "u@fine.example",
            "result\tfail\nexempts\tno\nmechanism\tall\ndomain\tfine.example\n\
             explanation\t192.0.2.1 is none of fine.example\nlookups\t2\nterms\t0\nvoid terms\t0\n",
        ),
        (
            "2001:db8::1",
            "u@wide.example",
            "result\tpass\nexempts\tno\nmechanism\tall\ndomain\twide.example\n\
             lookups\t1\nterms\t0\nvoid terms\t0\n",
        ),
        (
            "192.0.2.1",
            "u@wrong.example",
            "result\tpermerror\nexempts\tno\nreason\tunknown mechanism\n\
             lookups\t1\nterms\t0\nvoid terms\t0\n",
        ),
        (
            "192.0.2.1",
            "u@mute.example",
            "result\ttemperror\nexempts\tno\nreason\tno answer\nlookups\t1\nterms\t0\nvoid terms\t0\n",
        ),
        (
            "192.0.2.1",
            "u@[192.0.2.1]",
            "result\tnone\nexempts\tno\nlookups\t0\nterms\t0\nvoid terms\t0\n",
        ),
        (
            "192.0.2.1",
            "<>",
            "result\tsoftfail\nexempts\tno\nmechanism\tall\ndomain\thelo.example\n\
             lookups\t1\nterms\t0\nvoid terms\t0\n",
        ),
    ] {
        let zone = Zone::new(&[WORLD, &["helo.example TXT v=spf1 ~all"]].concat());
        let helo = zone.serve();
        let server = if sender == "<>" { &helo } else { &server };
        assert_eq!(text(server, &[address, "helo.example", sender]), wanted, "{address} {sender}");
    }
}

#[test]
fn json_has_the_same() {
    let server = Zone::new(WORLD).serve();
    let out = spf(&["-j"], &server, &["192.0.2.1", "x", "u@mail.example"]).out;
    let object: Value = serde_json::from_slice(&out).unwrap();
    // An explanation with a control character is none.
    let wanted = json!({
        "result": "fail", "exempts": false, "mechanism": "all", "domain": "mail.example",
        "reason": null, "explanation": null, "lookup_count": 6, "term_count": 3,
        "void_term_count": 1,
    });
    assert_eq!(object, wanted);
}

/// The server has found nothing but the policy, and says not which zone denies.
#[test]
fn a_denial_that_is_not_believed_gives_no_result() {
    let server = Responder::start(|query| match query.rtype {
        crate::support::zone::TXT => Zone::new(WORLD).answer(query),
        _ => query.control().unwrap_or_else(|| query.reply().rcode(NXDOMAIN).send()),
    });
    let out = text(&server, &["192.0.2.1", "x", "u@alone.example"]);
    let wanted = "result\ttemperror\nexempts\tno\n\
        reason\tdenied by a server that has not found any domain\n";
    assert!(out.starts_with(wanted), "{out}");
}

#[test]
fn what_is_no_address_is_a_failure_and_what_is_missing_wrong_usage() {
    let server = Zone::new(WORLD).serve();
    let ran = spf(&[], &server, &["192.0.2", "x", "u@mail.example"]);
    assert_eq!(
        (ran.status, ran.err.as_str()),
        (Some(1), "greytrapctl: invalid ip address \"192.0.2\"\n")
    );
    for arguments in [&["192.0.2.1", "x"][..], &["192.0.2.1", "x", "u@a.example", "more"]] {
        let ran = spf(&[], &server, arguments);
        assert_eq!(ran.status, Some(2));
        assert!(ran.err.contains("spf: expected an address, a HELO name and a sender"), "{ran:?}");
    }
    assert_eq!(server.asked(), 0);
}
