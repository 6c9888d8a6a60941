//! What holds for any bytes: of a policy, and of a request. The fuzz targets (`fuzz/fuzz_targets`) look for
//! bytes for which it does not.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::net::IpAddr;

use tunctl_helper::policy::{Accounts, NameRule, Network, Policy, PolicyError, Rule, decide};
use tunctl_helper::protocol::{REQUEST_SIZE, Request};

/// A property of any bytes; panics if it does not hold.
pub(crate) type Property = fn(&[u8]);

/// The properties, under the names of their fuzz targets and corpora.
#[allow(dead_code, reason = "the fuzz targets name theirs")]
pub(crate) const ALL: [(&str, Property); 2] =
    [("helper_policy", helper_policy), ("helper_request", helper_request)];

/// A policy by which requests are judged.
const POLICY: &str = "[[rule]]\nuser = 7\nnames = ['vpn%d', 'work0']\naddresses = ['10.8.0.0/16', 'fd77::/48']\n\
                      [[rule]]\nuser = 7\nnames = ['lab%d']\nlayers = ['tap']\nmtu = [576, 9000]\nqueue_length = [10, 20]\n";

struct Nobody;

impl Accounts for Nobody {
    fn user(&self, name: &str) -> Result<Option<u32>, PolicyError> {
        Ok((name == "alice").then_some(1000))
    }

    fn group(&self, name: &str) -> Result<Option<u32>, PolicyError> {
        Ok((name == "vpn").then_some(500))
    }
}

/// What is taken for a policy allows nothing that no policy can allow, and means what it shows.
pub(crate) fn helper_policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(policy) = Policy::parse(text, &Nobody) else { return };
    for rule in &policy.rules {
        assert!(!rule.names.is_empty() && rule.devices > 0 && (rule.layers.tun || rule.layers.tap));
        assert!(*rule.mtu.start() >= 68 && *rule.mtu.end() <= 65535 && !rule.mtu.is_empty());
        assert!(!rule.queue_length.is_empty() && !rule.namespaces.is_empty());
        for name in &rule.names {
            let shown = name.to_string();
            assert_eq!(NameRule::parse(&shown).as_ref(), Ok(name));
            assert!(shown.is_ascii() && !shown.contains(char::is_whitespace) && !name.allows(b"lo"));
        }
        for network in &rule.addresses {
            assert_eq!(Network::parse(&network.to_string()).as_ref(), Ok(network));
            for never in ["127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"] {
                assert!(!network.contains(&host(never)), "{network}");
            }
            for never in ["::", "::1", "fe80::1", "ff02::1", "::ffff:10.8.0.1"] {
                assert!(!network.contains(&host(never)), "{network}");
            }
        }
    }
}

fn host(address: &str) -> Network {
    let address: IpAddr = address.parse().unwrap();
    Network::of(address, if address.is_ipv4() { 32 } else { 128 }).unwrap()
}

/// What is taken for a request is written as the same bytes, and what is granted is allowed by hand.
pub(crate) fn helper_request(bytes: &[u8]) {
    // As they are; and with what each request has, behind which more of the code begins.
    let mut repaired = [0; REQUEST_SIZE];
    let length = bytes.len().min(REQUEST_SIZE);
    repaired[..length].copy_from_slice(&bytes[..length]);
    repaired[..8].copy_from_slice(b"tunctl\x00\x01");
    repaired[27] = 0;
    for bytes in [bytes, &repaired] {
        if let Ok(request) = Request::from_bytes(bytes) {
            assert_eq!(request.to_bytes(), bytes);
            judge(&request);
        }
    }
}

fn judge(request: &Request) {
    let candidates: Vec<(Rule, bool)> =
        Policy::parse(POLICY, &Nobody).unwrap().rules.into_iter().map(|rule| (rule, true)).collect();
    let nowhere: Vec<(Rule, bool)> = candidates.iter().map(|(rule, _)| (rule.clone(), false)).collect();
    assert!(decide(&nowhere, request).is_err() && decide(&[], request).is_err());
    let Ok(grants) = decide(&candidates, request) else { return };
    assert!(!grants.is_empty());
    let name = std::str::from_utf8(request.name()).unwrap();
    let numbered = |stem| {
        name.strip_prefix(stem).is_some_and(|end| {
            end == "%d" || end.parse::<u64>().is_ok_and(|number| number.to_string() == end)
        })
    };
    let is_tap = request.flags & 2 != 0;
    if is_tap {
        assert!(name.is_empty() || numbered("lab"), "{name}");
        assert!(request.addresses.iter().next().is_none());
        assert!(request.mtu.is_none_or(|mtu| (576..=9000).contains(&mtu)));
        assert!(request.queue_length.is_none_or(|length| (10..=20).contains(&length)));
    } else {
        assert!(name.is_empty() || name == "work0" || numbered("vpn"), "{name}");
        assert!(request.mtu.is_none_or(|mtu| (576..=1500).contains(&mtu)));
        assert!(request.queue_length.is_none_or(|length| length <= 1000));
    }
    for address in request.addresses.iter() {
        for ip in [Some(address.address), address.peer].into_iter().flatten() {
            match ip {
                IpAddr::V4(ip) => assert_eq!(ip.octets()[..2], [10, 8]),
                IpAddr::V6(ip) => assert_eq!(ip.segments()[..3], [0xfd77, 0, 0]),
            }
        }
        let shortest = if address.address.is_ipv4() { 16 } else { 48 };
        assert!(address.prefix_length >= shortest);
    }
}
