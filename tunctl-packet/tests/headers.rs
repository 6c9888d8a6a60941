//! Headers keep every bit: what was parsed is written as the same bytes.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::collection::vec;
use proptest::prelude::*;
use tunctl_packet::PacketInfo;
use tunctl_packet::header::{AddressFamily, System, Truncated};

const SYSTEMS: [System; 5] =
    [System::FreeBsd, System::OpenBsd, System::NetBsd, System::DragonFly, System::MacOs];

fn system() -> impl Strategy<Value = System> {
    proptest::sample::select(&SYSTEMS[..])
}

/// No file of failures beside the source.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn packet_information_keeps_every_bit(bytes in vec(any::<u8>(), 0..12), flags: u16) {
        match PacketInfo::parse(&bytes) {
            Ok((header, rest)) => {
                prop_assert_eq!([&header.to_bytes(), rest].concat(), bytes);
                prop_assert_eq!(PacketInfo::new(header.protocol()).with_flags(header.flags()), header);
                let other = header.with_flags(flags);
                prop_assert_eq!(PacketInfo::parse(&other.to_bytes()).unwrap().0, other);
            }
            Err(error) => prop_assert_eq!(error, Truncated { need: 4, have: bytes.len() }),
        }
    }

    #[test]
    fn address_families_keep_every_bit(
        mut bytes in vec(prop_oneof![Just(0), any::<u8>()], 0..12),
        system in system(),
        near in proptest::option::of(0..=40_u8),
    ) {
        if let (Some(number), Some(place)) = (near, bytes.first_chunk_mut()) {
            *place = [0, 0, 0, number];
        }
        match AddressFamily::parse(system, &bytes) {
            Ok((family, rest)) => {
                prop_assert_eq!([&family.to_bytes(system), rest].concat(), &bytes[..]);
                prop_assert_eq!(AddressFamily::from_number(system, family.number(system)), family);
                let mut written = vec![7; bytes.len()];
                family.write(system, &mut written).unwrap();
                prop_assert_eq!(&written[..4], &bytes[..4]);
                prop_assert!(written[4..].iter().all(|byte| *byte == 7));
            }
            Err(error) => prop_assert_eq!(error, Truncated { need: 4, have: bytes.len() }),
        }
    }

    /// However a number came about, two families of a system are the same exactly if their bytes are.
    #[test]
    fn families_are_equal_as_their_bytes_are(system in system(), a in 0..40_u32, b in 0..40_u32) {
        let [a, b] = [a, b].map(|number| AddressFamily::from_number(system, number));
        prop_assert_eq!(a == b, a.to_bytes(system) == b.to_bytes(system));
    }
}
