//! A name server for a small world, for tests of SPF: what it knows is a list of names and records.
#![allow(dead_code, clippy::expect_used, clippy::panic)]

use super::responder::*;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

pub const TXT: u16 = 16;

/// Names in lower case, each with its records.
#[derive(Clone, Debug, Default)]
pub struct Zone(HashMap<String, Node>);

#[derive(Clone, Debug, Default)]
struct Node {
    records: Vec<(u16, Vec<u8>)>,
    alias: Option<String>,
    /// Whether questions about other types have no answer.
    is_mute: bool,
}

impl Zone {
    /// Lines `name TYPE data`: data as in a zone file, `TXT` without
    /// quotes; `name MUTE` gives no answer about types that it does not have.
    pub fn new<L: AsRef<str>>(lines: &[L]) -> Self {
        let mut zone = Self::default();
        for line in lines {
            let mut words = line.as_ref().splitn(3, ' ');
            let mut next = || words.next().unwrap_or_default();
            let (owner, rtype, data) = (next(), next(), next());
            zone.add(owner, rtype, &[data.as_bytes().to_vec()]);
        }
        zone
    }

    /// The zone data of a scenario in the suite of RFC 7208. Records of the type SPF are TXT records too,
    /// unless the name has others.
    pub fn of_suite(data: &Value) -> Self {
        let mut zone = Self::default();
        for (owner, records) in data.as_object().expect("names") {
            let records = records.as_array().expect("records");
            let has_txt = records.iter().any(|record| record.get("TXT").is_some());
            for record in records {
                if record == "TIMEOUT" {
                    zone.add(owner, "MUTE", &[]);
                    continue;
                }
                let (rtype, data) =
                    record.as_object().and_then(|r| r.iter().next()).expect("record");
                match (rtype.as_str(), strings(data)) {
                    ("SPF", _) if has_txt => {}
                    ("TXT", data) if data == [b"NONE"] => {}
                    ("SPF", data) => zone.add(owner, "TXT", &data),
                    ("MX", data) => zone.add(owner, "MX", &[data.join(&b' ')]),
                    (rtype, data) => zone.add(owner, rtype, &data),
                }
            }
        }
        zone
    }

    fn add(&mut self, owner: &str, rtype: &str, data: &[Vec<u8>]) {
        let first = || String::from_utf8(data.first().cloned().unwrap_or_default()).expect("text");
        let address = || first().parse::<IpAddr>().expect("address");
        let node = self.0.entry(owner.to_lowercase()).or_default();
        match rtype {
            "MUTE" => node.is_mute = true,
            "CNAME" => node.alias = Some(first().trim_end_matches('.').to_lowercase()),
            "TXT" => {
                node.records.push((TXT, data.iter().flat_map(|text| text_data(text)).collect()))
            }
            "MX" => {
                let data = first();
                let (preference, exchange) = data.split_once(' ').expect("preference");
                node.records.push((MX, mx(preference.parse().expect("number"), exchange)));
            }
            "PTR" => node.records.push((PTR, name(&first()))),
            "A" | "AAAA" => node.records.push(match address() {
                IpAddr::V4(v4) => (A, v4.octets().to_vec()),
                IpAddr::V6(v6) => (AAAA, v6.octets().to_vec()),
            }),
            other => panic!("{other}"),
        }
    }

    /// The answer to a query, as a resolver would give it; none is a timeout.
    pub fn answer(&self, query: &Query) -> Vec<Act> {
        if let Some(control) = query.control() {
            return control;
        }
        let (mut owner, mut reply) = (query.name.clone(), query.reply());
        for _ in 0..9 {
            let Some(alias) = self.0.get(&owner).and_then(|node| node.alias.clone()) else { break };
            reply = reply.answer(&owner, CNAME, 60, &name(&alias));
            owner = alias;
        }
        let node = self.0.get(&owner);
        let records = node.into_iter().flat_map(|node| &node.records);
        let mut is_there = false;
        for (_, data) in records.filter(|(rtype, _)| *rtype == query.rtype) {
            reply = reply.answer(&owner, query.rtype, 60, data);
            is_there = true;
        }
        match node {
            _ if is_there => reply.send(),
            Some(node) if node.is_mute => Vec::new(),
            Some(node) if node.alias.is_some() => reply.send(),
            Some(_) => reply.soa(60).send(),
            None => reply.rcode(NXDOMAIN).soa(60).send(),
        }
    }

    /// A server for it.
    pub fn serve(self) -> Responder {
        Responder::start(move |query| self.answer(query))
    }

    /// A server for it that counts the questions about each name, the root's aside.
    pub fn serve_counting(self) -> (Responder, Arc<Mutex<BTreeMap<String, usize>>>) {
        let counts = Arc::new(Mutex::new(BTreeMap::new()));
        let counted = counts.clone();
        let responder = Responder::start(move |query| {
            if !query.name.is_empty() {
                *counted.lock().expect("counts").entry(query.name.clone()).or_default() += 1;
            }
            self.answer(query)
        });
        (responder, counts)
    }
}

/// A text or a list of texts; characters are octets.
fn strings(data: &Value) -> Vec<Vec<u8>> {
    let octets = |text: &str| text.chars().map(|c| u8::try_from(c).expect("octet")).collect();
    match data {
        Value::String(text) => vec![octets(text)],
        Value::Array(texts) => texts.iter().flat_map(strings).collect(),
        other => panic!("{other}"),
    }
}

/// A TXT record's data: strings of at most 255 octets.
pub fn text_data(text: &[u8]) -> Vec<u8> {
    let string = |part: &[u8]| [&[u8::try_from(part.len()).expect("string")], part].concat();
    text.chunks(255).flat_map(string).collect()
}
