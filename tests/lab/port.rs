//! Loopback ports for servers that are told theirs. A test that takes nothing
//! else of the lab takes this file alone: `#[path = "lab/port.rs"] mod port;`.

#![allow(dead_code, reason = "each test file uses what it needs")]

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
};

/// A loopback address that is free. The kernel never gives its port to anybody
/// who wants just any one, a connection or a server, in the moment until it is
/// used.
pub fn free() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap();
    let given: u32 = range.split_whitespace().next().unwrap().parse().unwrap();
    let ours = given / 2;
    // Two test programs at once begin far from each other.
    let first = std::process::id().wrapping_mul(997);
    for _ in 0..ours {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(given - 1 - number % ours).unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port is free below {given}")
}
