//! Hosts for which the domain of a sender has vouched.

use super::error::Error;
use super::key::{self, VOUCHED};
use redb::{ReadTransaction, ReadableTable, WriteTransaction};
use std::net::IpAddr;

/// Notes hosts, each with the time in seconds since 1970.
pub fn note(transaction: &WriteTransaction, hosts: &[(IpAddr, i64)]) -> Result<(), Error> {
    let mut table = transaction.open_table(VOUCHED)?;
    for (address, time) in hosts {
        table.insert(&key::passed(*address), time)?;
    }
    Ok(())
}

/// Forgets hosts of before this time.
pub fn forget(transaction: &WriteTransaction, before: i64) -> Result<(), Error> {
    Ok(transaction.open_table(VOUCHED)?.retain(|_, time| time >= before)?)
}

/// All hosts, each with its time.
pub fn all(transaction: &ReadTransaction) -> Result<Vec<(IpAddr, i64)>, Error> {
    let table = transaction.open_table(VOUCHED)?;
    let mut hosts = Vec::new();
    for entry in table.iter()? {
        let (address, time) = entry?;
        hosts.push((IpAddr::from(*address.value()).to_canonical(), time.value()));
    }
    Ok(hosts)
}
