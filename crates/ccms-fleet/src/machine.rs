//! What the system gives this process: file descriptors, memory, and addresses to call from.
use std::net::{IpAddr, Ipv4Addr};

use anyhow::Context;

/// Connections from one address to one port of a server: what the system's range of ephemeral ports holds, with room.
pub const SOCKETS_PER_ADDRESS: usize = 25_000;
/// Kept for everything that is not a connection.
const DESCRIPTORS_RESERVE: u64 = 256;

/// Sees to it that so many connections can be open at a time.
///
/// # Errors
/// When the system does not let this process have as many descriptors.
pub fn raise_descriptors(connections: usize) -> anyhow::Result<()> {
    let wanted = connections as u64 + DESCRIPTORS_RESERVE;
    let got = rlimit::increase_nofile_limit(wanted).context("raising the limit of open files")?;
    anyhow::ensure!(got >= wanted, "{connections} lights need {wanted} open files, and the limit is {got} (ulimit -n)");
    Ok(())
}

/// What this process holds in memory, where the system says so.
pub fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The address that the `index`th device calls `server` from; none leaves it to the system. On the machine itself every
/// 127.x.y.z is an address, each with its own range of ports.
pub fn source_address(server: IpAddr, given: &[IpAddr], index: usize) -> Option<IpAddr> {
    let turn = index / SOCKETS_PER_ADDRESS;
    match server {
        _ if !given.is_empty() => Some(given[turn % given.len()]),
        IpAddr::V4(v4) if v4.is_loopback() && turn > 0 => {
            let own = u32::from(Ipv4Addr::LOCALHOST) + turn as u32;
            Some(IpAddr::V4(Ipv4Addr::from(own)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_has_more_devices_than_ports() {
        let (here, there) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([192, 0, 2, 1]));
        assert_eq!(source_address(here, &[], SOCKETS_PER_ADDRESS - 1), None);
        assert_eq!(source_address(here, &[], SOCKETS_PER_ADDRESS), Some(IpAddr::from([127, 0, 0, 2])));
        assert_eq!(source_address(here, &[], 4 * SOCKETS_PER_ADDRESS), Some(IpAddr::from([127, 0, 0, 5])));
        assert_eq!(source_address(there, &[], 4 * SOCKETS_PER_ADDRESS), None);
        let given = [IpAddr::from([192, 0, 2, 7]), IpAddr::from([192, 0, 2, 8])];
        assert_eq!(source_address(there, &given, 0), Some(given[0]));
        assert_eq!(source_address(there, &given, SOCKETS_PER_ADDRESS), Some(given[1]));
    }

    #[test]
    fn the_system_says_what_we_hold() {
        assert!(memory_bytes().is_none_or(|b| b > 1_000_000));
        assert!(raise_descriptors(10).is_ok());
        assert!(raise_descriptors(usize::MAX / 2).is_err());
    }
}
